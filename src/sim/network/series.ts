/** Points in time order, few enough to draw: at `capacity` every second one goes, and so do half of those to come. */
export class Series<T> {
  private kept: Array<T> = []
  private stride = 1
  private seen = 0

  constructor(private readonly capacity: number) {}

  add(point: T): void {
    if (this.seen++ % this.stride !== 0) return
    this.kept.push(point)
    if (this.kept.length < this.capacity) return
    this.kept = this.kept.filter((_, index) => index % 2 === 0)
    this.stride *= 2
  }

  get points(): ReadonlyArray<T> {
    return this.kept
  }

  /** One of so many was kept. */
  get thinnedBy(): number {
    return this.stride
  }
}
