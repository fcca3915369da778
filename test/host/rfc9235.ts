/** The test vectors of RFC 9235, sections 4 to 7, copied from its text. Master key "testvector", KeyIDs 61 and 84. */
export interface Vector {
  readonly section: string
  readonly title: string
  readonly algorithm: "sha1" | "aes128"
  readonly coverOptions: boolean
  readonly fromClient: boolean
  readonly syn: boolean
  readonly clientIsn: number
  readonly serverIsn: number
  readonly trafficKey: string
  /** From the IP header on. */
  readonly packet: string
  readonly mac: string
}

export const vectors: ReadonlyArray<Vector> = [
  {
    section: "4.1.1",
    title: "Send (Client) SYN (Covers Options)",
    algorithm: "sha1",
    coverOptions: true,
    fromClient: true,
    syn: true,
    clientIsn: 0xfbfbab5a,
    serverIsn: 0x11c14261,
    trafficKey: "6d63ef1b02fe1509d4b1402707fd7b0416abb74f",
    packet:
      "45e0004cdd0f4000ff06bf6b0a0b0c0dac1b1c1de9d700b3fbfbab5a00000000e002ffffcac40000020405b401030308" +
      "0402080a00155ab7000000001d103d542ee437c6f8ede6d7c4d602e7",
    mac: "2ee437c6f8ede6d7c4d602e7",
  },
  {
    section: "4.1.2",
    title: "Receive (Server) SYN-ACK (Covers Options)",
    algorithm: "sha1",
    coverOptions: true,
    fromClient: false,
    syn: false,
    clientIsn: 0xfbfbab5a,
    serverIsn: 0x11c14261,
    trafficKey: "d9e217e4834a80ca2f3fd8de2e41b8e6797fea96",
    packet:
      "45e0004c65064000ff063775ac1b1c1d0a0b0c0d00b3e9d711c14261fbfbab5be012ffff37760000020405b401030308" +
      "0402080a84a50beb00155ab71d10543deeab0fe24c3010815116b3be",
    mac: "eeab0fe24c3010815116b3be",
  },
  {
    section: "4.1.3",
    title: "Send (Client) Non-SYN (Covers Options)",
    algorithm: "sha1",
    coverOptions: true,
    fromClient: true,
    syn: false,
    clientIsn: 0xfbfbab5a,
    serverIsn: 0x11c14261,
    trafficKey: "d2e59c65ffc7b1a39347656463b70edc24a13d71",
    packet:
      "45e0008736a14000ff06659f0a0b0c0dac1b1c1de9d700b3fbfbab5b11c14262c0180104a16200000101080a00155ac1" +
      "84a50beb1d103d547064cf998cc6c315c2c2e2bfffffffffffffffffffffffffffffffff00430104dabf00b40a0b0c0d" +
      "260206010400010001020280000202020002024200020641040000dabf02084006006400010100",
    mac: "7064cf998cc6c315c2c2e2bf",
  },
  {
    section: "4.1.4",
    title: "Receive (Server) Non-SYN (Covers Options)",
    algorithm: "sha1",
    coverOptions: true,
    fromClient: false,
    syn: false,
    clientIsn: 0xfbfbab5a,
    serverIsn: 0x11c14261,
    trafficKey: "d9e217e4834a80ca2f3fd8de2e41b8e6797fea96",
    packet:
      "45e000871fa94000ff067c97ac1b1c1d0a0b0c0d00b3e9d711c14262fbfbab9ec0180100400c00000101080a84a50bf5" +
      "00155ac11d10543da63f0ecbbb2e635c954deac7ffffffffffffffffffffffffffffffff00430104dac000b4ac1b1c1d" +
      "260206010400010001020280000202020002024200020641040000dac002084006006400010100",
    mac: "a63f0ecbbb2e635c954deac7",
  },
  {
    section: "4.2.1",
    title: "Send (Client) SYN (Omits Options)",
    algorithm: "sha1",
    coverOptions: false,
    fromClient: true,
    syn: true,
    clientIsn: 0xcb0efbee,
    serverIsn: 0xacd5b5e1,
    trafficKey: "30eaa1560cf0be57dab5c045229fb10a423cd7ea",
    packet:
      "45e0004c53994000ff0648e20a0b0c0dac1b1c1dff1200b3cb0efbee00000000e002ffff541f0000020405b401030308" +
      "0402080a00024cce000000001d103d5480af3cfeb85368937b8f9ec2",
    mac: "80af3cfeb85368937b8f9ec2",
  },
  {
    section: "4.2.2",
    title: "Receive (Server) SYN-ACK (Omits Options)",
    algorithm: "sha1",
    coverOptions: false,
    fromClient: false,
    syn: false,
    clientIsn: 0xcb0efbee,
    serverIsn: 0xacd5b5e1,
    trafficKey: "b5b2896bb3664e8176b0edc6e799524101a8307f",
    packet:
      "45e0004c32844000ff0669f7ac1b1c1d0a0b0c0d00b3ff12acd5b5e1cb0efbefe012ffff388e0000020405b401030308" +
      "0402080a576772f300024cce1d10543d09306f9acea63a8c68cb9a70",
    mac: "09306f9acea63a8c68cb9a70",
  },
  {
    section: "4.2.3",
    title: "Send (Client) Non-SYN (Omits Options)",
    algorithm: "sha1",
    coverOptions: false,
    fromClient: true,
    syn: false,
    clientIsn: 0xcb0efbee,
    serverIsn: 0xacd5b5e1,
    trafficKey: "f3db1793d7910ecd806c34f155ea1f00345953e3",
    packet:
      "45e00087a8f54000ff06f34a0a0b0c0dac1b1c1dff1200b3cb0efbefacd5b5e2c01801046c4500000101080a00024cce" +
      "576772f31d103d54710608cc696c03a271c93aa5ffffffffffffffffffffffffffffffff00430104dabf00b40a0b0c0d" +
      "260206010400010001020280000202020002024200020641040000dabf02084006006400010100",
    mac: "710608cc696c03a271c93aa5",
  },
  {
    section: "4.2.4",
    title: "Receive (Server) Non-SYN (Omits Options)",
    algorithm: "sha1",
    coverOptions: false,
    fromClient: false,
    syn: false,
    clientIsn: 0xcb0efbee,
    serverIsn: 0xacd5b5e1,
    trafficKey: "b5b2896bb3664e8176b0edc6e799524101a8307f",
    packet:
      "45e0008754374000ff064809ac1b1c1d0a0b0c0d00b3ff12acd5b5e2cb0efc32c018010046b600000101080a576772f3" +
      "00024cce1d10543d97766e48ac262de9ae61b4f9ffffffffffffffffffffffffffffffff00430104dac000b4ac1b1c1d" +
      "260206010400010001020280000202020002024200020641040000dac002084006006400010100",
    mac: "97766e48ac262de9ae61b4f9",
  },
  {
    section: "5.1.1",
    title: "Send (Client) SYN (Covers Options)",
    algorithm: "aes128",
    coverOptions: true,
    fromClient: true,
    syn: true,
    clientIsn: 0x787a1ddf,
    serverIsn: 0xfadd6de9,
    trafficKey: "f5b8b3d5f34fdbb6eb8d4ab9660e60e3",
    packet:
      "45e0004c7b9f4000ff0620dc0a0b0c0dac1b1c1dc4fa00b3787a1ddf00000000e002ffff5a0f0000020405b401030308" +
      "0402080a00017ed0000000001d103d54e477e99c8040765498e55091",
    mac: "e477e99c8040765498e55091",
  },
  {
    section: "5.1.2",
    title: "Receive (Server) SYN-ACK (Covers Options)",
    algorithm: "aes128",
    coverOptions: true,
    fromClient: false,
    syn: false,
    clientIsn: 0x787a1ddf,
    serverIsn: 0xfadd6de9,
    trafficKey: "4bc7571a486f3264bbd888474066b4b1",
    packet:
      "45e0004c4bad4000ff0650ceac1b1c1d0a0b0c0d00b3c4fafadd6de9787a1de0e012fffff3f20000020405b401030308" +
      "0402080a93f4e9e800017ed01d10543dd6ada7bc4cdd536d1769db5f",
    mac: "d6ada7bc4cdd536d1769db5f",
  },
  {
    section: "5.1.3",
    title: "Send (Client) Non-SYN (Covers Options)",
    algorithm: "aes128",
    coverOptions: true,
    fromClient: true,
    syn: false,
    clientIsn: 0x787a1ddf,
    serverIsn: 0xfadd6de9,
    trafficKey: "8c8ae0e8371ec5cbb97ea79d90418391",
    packet:
      "45e00087fb4f4000ff06a0f00a0b0c0dac1b1c1dc4fa00b3787a1de0fadd6deac0180104950500000101080a00017ed0" +
      "93f4e9e81d103d5477412742fa4dc433eff0973effffffffffffffffffffffffffffffff00430104dabf00b40a0b0c0d" +
      "260206010400010001020280000202020002024200020641040000dabf02084006006400010100",
    mac: "77412742fa4dc433eff0973e",
  },
  {
    section: "5.1.4",
    title: "Receive (Server) Non-SYN (Covers Options)",
    algorithm: "aes128",
    coverOptions: true,
    fromClient: false,
    syn: false,
    clientIsn: 0x787a1ddf,
    serverIsn: 0xfadd6de9,
    trafficKey: "4bc7571a486f3264bbd888474066b4b1",
    packet:
      "45e00087b9144000ff06e32bac1b1c1d0a0b0c0d00b3c4fafadd6dea787a1e23c0180100e7db00000101080a93f4e9e8" +
      "00017ed01d10543df6d965a78382a74845f72dacffffffffffffffffffffffffffffffff00430104dac000b4ac1b1c1d" +
      "260206010400010001020280000202020002024200020641040000dac002084006006400010100",
    mac: "f6d965a78382a74845f72dac",
  },
  {
    section: "5.2.1",
    title: "Send (Client) SYN (Omits Options)",
    algorithm: "aes128",
    coverOptions: false,
    fromClient: true,
    syn: true,
    clientIsn: 0x389bed71,
    serverIsn: 0xd3844a6f,
    trafficKey: "2cdbae1392c49449fa92c4509735d50e",
    packet:
      "45e0004cf22e4000ff06aa4c0a0b0c0dac1b1c1dda1c00b3389bed7100000000e002ffff70bf0000020405b401030308" +
      "0402080a000185e1000000001d103d54c44e60cb31f7c0b1de3d2749",
    mac: "c44e60cb31f7c0b1de3d2749",
  },
  {
    section: "5.2.2",
    title: "Receive (Server) SYN-ACK (Omits Options)",
    algorithm: "aes128",
    coverOptions: false,
    fromClient: false,
    syn: false,
    clientIsn: 0x389bed71,
    serverIsn: 0xd3844a6f,
    trafficKey: "3ce67a551869506b6347b633c50a624a",
    packet:
      "45e0004c6cc04000ff062fbbac1b1c1d0a0b0c0d00b3da1cd3844a6f389bed72e012ffffe4450000020405b401030308" +
      "0402080ace459838000185e11d10543d3a6abb207e49b1be7136db90",
    mac: "3a6abb207e49b1be7136db90",
  },
  {
    section: "5.2.3",
    title: "Send (Client) Non-SYN (Omits Options)",
    algorithm: "aes128",
    coverOptions: false,
    fromClient: true,
    syn: false,
    clientIsn: 0x389bed71,
    serverIsn: 0xd3844a6f,
    trafficKey: "035bc400a341ffe595f59f58005006ca",
    packet:
      "45e00087ee914000ff06adae0a0b0c0dac1b1c1dda1c00b3389bed72d3844a70c0180104885100000101080a000185e1" +
      "ce4598381d103d547585e9e9d5c3ec857b96f837ffffffffffffffffffffffffffffffff00430104dabf00b40a0b0c0d" +
      "260206010400010001020280000202020002024200020641040000dabf02084006006400010100",
    mac: "7585e9e9d5c3ec857b96f837",
  },
  {
    section: "5.2.4",
    title: "Receive (Server) Non-SYN (Omits Options)",
    algorithm: "aes128",
    coverOptions: false,
    fromClient: false,
    syn: false,
    clientIsn: 0x389bed71,
    serverIsn: 0xd3844a6f,
    trafficKey: "3ce67a551869506b6347b633c50a624a",
    packet:
      "45e000876a214000ff06321fac1b1c1d0a0b0c0d00b3da1cd3844a70389bed72c0180100044900000101080ace459838" +
      "000185e11d10543d5c040fd9233304765c0982f4ffffffffffffffffffffffffffffffff00430104dac000b4ac1b1c1d" +
      "260206010400010001020280000202020002024200020641040000dac002084006006400010100",
    mac: "5c040fd9233304765c0982f4",
  },
  {
    section: "6.1.1",
    title: "Send (Client) SYN (Covers Options)",
    algorithm: "sha1",
    coverOptions: true,
    fromClient: true,
    syn: true,
    clientIsn: 0x176a833f,
    serverIsn: 0x3f51994b,
    trafficKey: "625ec09d575836edc9b6428418bbf06989a361bb",
    packet:
      "6e0891dc00380640fd000000000000000000000000000001fd000000000000000000000000000002f7e400b3176a833f" +
      "00000000e002ffff47210000020405a0010303080402080a0041d087000000001d103d549033ec3d7334b64c5edd039f",
    mac: "9033ec3d7334b64c5edd039f",
  },
  {
    section: "6.1.2",
    title: "Receive (Server) SYN-ACK (Covers Options)",
    algorithm: "sha1",
    coverOptions: true,
    fromClient: false,
    syn: false,
    clientIsn: 0x176a833f,
    serverIsn: 0x3f51994b,
    trafficKey: "e4a37ada2a0afca8711434913fe138c771ebcb4a",
    packet:
      "6e01009e00380640fd000000000000000000000000000002fd00000000000000000000000000000100b3f7e43f51994b" +
      "176a8340e012ffffbfec0000020405a0010303080402080abd33129b0041d0871d10543df1cba346c3526163f71f1f55",
    mac: "f1cba346c3526163f71f1f55",
  },
  {
    section: "6.1.3",
    title: "Send (Client) Non-SYN (Covers Options)",
    algorithm: "sha1",
    coverOptions: true,
    fromClient: true,
    syn: false,
    clientIsn: 0x176a833f,
    serverIsn: 0x3f51994b,
    trafficKey: "1ed82975f4ea444c61580c5bd90dbd61bbc91b7e",
    packet:
      "6e0891dc00730640fd000000000000000000000000000001fd000000000000000000000000000002f7e400b3176a8340" +
      "3f51994cc0180100329c00000101080a0041d091bd33129b1d103d54bf0805feb4ac7b163d6fcdf2ffffffffffffffff" +
      "ffffffffffffffff00430104fde800b401010179260206010400010001020280000202020002024200020641040000fd" +
      "e802084006006400010100",
    mac: "bf0805feb4ac7b163d6fcdf2",
  },
  {
    section: "6.1.4",
    title: "Receive (Server) Non-SYN (Covers Options)",
    algorithm: "sha1",
    coverOptions: true,
    fromClient: false,
    syn: false,
    clientIsn: 0x176a833f,
    serverIsn: 0x3f51994b,
    trafficKey: "e4a37ada2a0afca8711434913fe138c771ebcb4a",
    packet:
      "6e01009e00730640fd000000000000000000000000000002fd00000000000000000000000000000100b3f7e43f51994c" +
      "176a8383c0180100ee6e00000101080abd3312a50041d0911d10543d6c48125c11335bab9a07a797ffffffffffffffff" +
      "ffffffffffffffff00430104fde800b40101017a260206010400010001020280000202020002024200020641040000fd" +
      "e802084006006400010100",
    mac: "6c48125c11335bab9a07a797",
  },
  {
    section: "6.2.1",
    title: "Send (Client) SYN (Omits Options)",
    algorithm: "sha1",
    coverOptions: false,
    fromClient: true,
    syn: true,
    clientIsn: 0x020c1e69,
    serverIsn: 0xeba3734d,
    trafficKey: "31a3faf69effae52931b7f845467315c270a4edc",
    packet:
      "6e078fcd00380640fd000000000000000000000000000001fd000000000000000000000000000002c6cd00b3020c1e69" +
      "00000000e002ffffa41a0000020405a0010303080402080a009db95b000000001d103d54885698b0530ed4d5a15f8346",
    mac: "885698b0530ed4d5a15f8346",
  },
  {
    section: "6.2.2",
    title: "Receive (Server) SYN-ACK (Omits Options)",
    algorithm: "sha1",
    coverOptions: false,
    fromClient: false,
    syn: false,
    clientIsn: 0x020c1e69,
    serverIsn: 0xeba3734d,
    trafficKey: "405108947f996575e7bdbc26d40216a2c7fa91bd",
    packet:
      "6e0a7e1f00380640fd000000000000000000000000000002fd00000000000000000000000000000100b3c6cdeba3734d" +
      "020c1e6ae012ffff774d0000020405a0010303080402080a5ec99b70009db95b1d10543d3c546bad9743f12df8b8010d",
    mac: "3c546bad9743f12df8b8010d",
  },
  {
    section: "6.2.3",
    title: "Send (Client) Non-SYN (Omits Options)",
    algorithm: "sha1",
    coverOptions: false,
    fromClient: true,
    syn: false,
    clientIsn: 0x020c1e69,
    serverIsn: 0xeba3734d,
    trafficKey: "b34eed6a9396a669f1c4f4f57618f3656f52c7ab",
    packet:
      "6e078fcd00730640fd000000000000000000000000000001fd000000000000000000000000000002c6cd00b3020c1e6a" +
      "eba3734ec018010083e600000101080a009db9655ec99b701d103d5448bd093b1924e001192f5bf0ffffffffffffffff" +
      "ffffffffffffffff00430104fde800b401010179260206010400010001020280000202020002024200020641040000fd" +
      "e802084006006400010100",
    mac: "48bd093b1924e001192f5bf0",
  },
  {
    section: "6.2.4",
    title: "Receive (Server) Non-SYN (Omits Options)",
    algorithm: "sha1",
    coverOptions: false,
    fromClient: false,
    syn: false,
    clientIsn: 0x020c1e69,
    serverIsn: 0xeba3734d,
    trafficKey: "405108947f996575e7bdbc26d40216a2c7fa91bd",
    packet:
      "6e0a7e1f00730640fd000000000000000000000000000002fd00000000000000000000000000000100b3c6cdeba3734e" +
      "020c1eadc0180100716a00000101080a5ec99b7a009db9651d10543d559a819445b4fde98d9e1317ffffffffffffffff" +
      "ffffffffffffffff00430104fde800b40101017a260206010400010001020280000202020002024200020641040000fd" +
      "e802084006006400010100",
    mac: "559a819445b4fde98d9e1317",
  },
  {
    section: "7.1.1",
    title: "Send (Client) SYN (Covers Options)",
    algorithm: "aes128",
    coverOptions: true,
    fromClient: true,
    syn: true,
    clientIsn: 0x193cccec,
    serverIsn: 0xa6744ecb,
    trafficKey: "fa5a2108882d39d0c71929175ab1b7b8",
    packet:
      "6e04a70600380640fd000000000000000000000000000001fd000000000000000000000000000002f85a00b3193cccec" +
      "00000000e002ffffde5d0000020405a0010303080402080a13e4ab99000000001d103d5459b588107481ac6dc3927040",
    mac: "59b588107481ac6dc3927040",
  },
  {
    section: "7.1.2",
    title: "Receive (Server) SYN-ACK (Covers Options)",
    algorithm: "aes128",
    coverOptions: true,
    fromClient: false,
    syn: false,
    clientIsn: 0x193cccec,
    serverIsn: 0xa6744ecb,
    trafficKey: "cf1b1e225e06a63616764a067b46f4b1",
    packet:
      "6e06152000380640fd000000000000000000000000000002fd00000000000000000000000000000100b3f85aa6744ecb" +
      "193cccede012ffffeabb0000020405a0010303080402080a71daabc813e4ab991d10543ddc2843a84e78a6bcfdc5ed80",
    mac: "dc2843a84e78a6bcfdc5ed80",
  },
  {
    section: "7.1.3",
    title: "Send (Client) Non-SYN (Covers Options)",
    algorithm: "aes128",
    coverOptions: true,
    fromClient: true,
    syn: false,
    clientIsn: 0x193cccec,
    serverIsn: 0xa6744ecb,
    trafficKey: "6174c3557abed27574dba37185f00300",
    packet:
      "6e04a70600730640fd000000000000000000000000000001fd000000000000000000000000000002f85a00b3193ccced" +
      "a6744eccc0180100328000000101080a13e4aba371daabc81d103d547b6a455c0d4f5f01835baab3ffffffffffffffff" +
      "ffffffffffffffff00430104fde800b401010179260206010400010001020280000202020002024200020641040000fd" +
      "e802084006006400010100",
    mac: "7b6a455c0d4f5f01835baab3",
  },
  {
    section: "7.1.4",
    title: "Receive (Server) Non-SYN (Covers Options)",
    algorithm: "aes128",
    coverOptions: true,
    fromClient: false,
    syn: false,
    clientIsn: 0x193cccec,
    serverIsn: 0xa6744ecb,
    trafficKey: "cf1b1e225e06a63616764a067b46f4b1",
    packet:
      "6e06152000730640fd000000000000000000000000000002fd00000000000000000000000000000100b3f85aa6744ecc" +
      "193ccd30c018010052f400000101080a71daabd313e4aba31d10543dc1069b7dfd3d693a6df3f289ffffffffffffffff" +
      "ffffffffffffffff00430104fde800b40101017a260206010400010001020280000202020002024200020641040000fd" +
      "e802084006006400010100",
    mac: "c1069b7dfd3d693a6df3f289",
  },
  {
    section: "7.2.1",
    title: "Send (Client) SYN (Omits Options)",
    algorithm: "aes128",
    coverOptions: false,
    fromClient: true,
    syn: true,
    clientIsn: 0xb01da74a,
    serverIsn: 0xa6246145,
    trafficKey: "a94f511263e4093d35dd818c13bbbf53",
    packet:
      "6e093d7600380640fd000000000000000000000000000001fd000000000000000000000000000002f28800b3b01da74a" +
      "00000000e002ffff75ff0000020405a0010303080402080a14275b3b000000001d103d543d45b4342de8bb1530847898",
    mac: "3d45b4342de8bb1530847898",
  },
  {
    section: "7.2.2",
    title: "Receive (Server) SYN-ACK (Omits Options)",
    algorithm: "aes128",
    coverOptions: false,
    fromClient: false,
    syn: false,
    clientIsn: 0xb01da74a,
    serverIsn: 0xa6246145,
    trafficKey: "92dea5bbc78b1d9f5b2952e9cd30642a",
    packet:
      "6e0c600a00380640fd000000000000000000000000000002fd00000000000000000000000000000100b3f288a6246145" +
      "b01da74be012ffffa70c0000020405a0010303080402080a1782245b14275b3b1d10543d1d01f6c87c6f93acffa9d4b5",
    mac: "1d01f6c87c6f93acffa9d4b5",
  },
  {
    section: "7.2.3",
    title: "Send (Client) Non-SYN (Omits Options)",
    algorithm: "aes128",
    coverOptions: false,
    fromClient: true,
    syn: false,
    clientIsn: 0xb01da74a,
    serverIsn: 0xa6246145,
    trafficKey: "4fb2086e402c679079ed65d4bf97693d",
    packet:
      "6e093d7600730640fd000000000000000000000000000001fd000000000000000000000000000002f28800b3b01da74b" +
      "a6246146c0180100c36d00000101080a14275b4f1782245b1d103d54290cf414ccb47a333276e7f8ffffffffffffffff" +
      "ffffffffffffffff00430104fde800b401010179260206010400010001020280000202020002024200020641040000fd" +
      "e802084006006400010100",
    mac: "290cf414ccb47a333276e7f8",
  },
  {
    section: "7.2.4",
    title: "Receive (Server) Non-SYN (Omits Options)",
    algorithm: "aes128",
    coverOptions: false,
    fromClient: false,
    syn: false,
    clientIsn: 0xb01da74a,
    serverIsn: 0xa6246145,
    trafficKey: "92dea5bbc78b1d9f5b2952e9cd30642a",
    packet:
      "6e0c600a00730640fd000000000000000000000000000002fd00000000000000000000000000000100b3f288a6246146" +
      "b01da78ec0180100345100000101080a1782246514275b4f1d10543d99515ffcd5403499f619fd1bffffffffffffffff" +
      "ffffffffffffffff00430104fde800b40101017a260206010400010001020280000202020002024200020641040000fd" +
      "e802084006006400010100",
    mac: "99515ffcd5403499f619fd1b",
  },
]
