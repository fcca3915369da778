/** No libnetmap where it was looked for. */
export class NetmapLibraryMissing extends Error {
  override readonly name = "NetmapLibraryMissing"
}

/** A library or a module whose structures are laid out in another way than ours. */
export class NetmapIncompatible extends Error {
  override readonly name = "NetmapIncompatible"
}
