/// A packet or a frame on its way into a batch.
struct GatheredPacket: ~Escapable {
    let bytes: RawSpan
    let shape: MemberShape
    /// The ECN bits outside.
    let trafficClass: UInt8
    let flow: FlowTable.Flow

    @inline(__always)
    @_lifetime(copy bytes)
    init(_ bytes: RawSpan, _ shape: MemberShape, trafficClass: UInt8, of flow: FlowTable.Flow) {
        self.bytes = bytes
        self.shape = shape
        self.trafficClass = trafficClass
        self.flow = flow
    }
}
