import CTun

/// Which outlet of a socket each owner's datagrams leave by, so that what one can't get rid of keeps no other from sending.
///
/// The kernel counts by socket what is on its way to the wire, in queueing disciplines above all, and takes no more when
/// that fills the socket's buffer. Outlet 0, the socket itself, is everybody's. Its time is cut into rounds, and a new one
/// begins when an eighth of its buffer or less is taken. In a round an owner may send by it an eighth of what is free there,
/// so that some forty must be stuck at once before nobody else gets in. Who would send more goes to an outlet of its own,
/// and keeps it until another needs one and finds it empty.
struct Outlets: ~Copyable {
    private struct Owner {
        /// The round in which it sent by the shared outlet last, and its bytes in that round.
        var round: UInt32 = 0
        var spent: Int32 = 0
        /// 0: the shared one.
        var outlet: UInt8 = 0
    }

    private static let share = 8
    /// Outlets that one search looks at.
    private static let mostLooks = 8

    /// By number; the first stands for what has no owner.
    private var owners: [Owner] = []
    /// The places in `owners` to which the outlets from 1 on belong.
    private var holders: [Int] = []
    private var nextLook = 0
    private var round: UInt32 = 1
    /// Bytes of the shared outlet's buffer, and how many of them may be taken.
    private var size = 0
    private var taken = 0

    /// The outlet for so many bytes of an owner's; `nil` if they are to be dropped.
    mutating func choose(for owner: Int?, taking bytes: Int, _ context: OpaquePointer) -> Int? {
        let place = owner.map { $0 + 1 } ?? 0
        if place < owners.count {
            let outlet = owners[place].outlet
            if outlet != 0 { return Int(outlet) }
            if admit(bytes, of: place) { return 0 }
        }
        return unsafe look(place, bytes, context)
    }

    private mutating func admit(_ bytes: Int, of place: Int) -> Bool {
        let spent = owners[place].round == round ? Int(owners[place].spent) : 0
        guard spent + bytes <= (size - taken) / Self.share else { return false }
        owners[place].round = round
        owners[place].spent = Int32(truncatingIfNeeded: spent + bytes)
        taken += bytes
        return true
    }

    /// Asks the kernel.
    @inline(never)
    private mutating func look(_ place: Int, _ bytes: Int, _ context: OpaquePointer) -> Int? {
        while owners.count <= place { owners.append(Owner()) }
        size = Int(unsafe ctun_udp_send_buffer(context, 0))
        taken = Int(unsafe ctun_udp_outstanding(context, 0))
        if taken <= size / Self.share {
            round &+= 1
            // What is larger than a share passes as well.
            _ = admit(bytes, of: place)
            return 0
        }
        if admit(bytes, of: place) { return 0 }
        guard place != 0, let outlet = unsafe vacant(context) else { return nil }
        if outlet > holders.count {
            holders.append(place)
        } else {
            owners[holders[outlet - 1]].outlet = 0
            holders[outlet - 1] = place
        }
        owners[place].outlet = UInt8(outlet)
        return outlet
    }

    /// A new outlet, or an empty one.
    private mutating func vacant(_ context: OpaquePointer) -> Int? {
        let opened = unsafe ctun_udp_open_outlet(context)
        if opened > 0 { return Int(opened) }
        for _ in 0..<min(Self.mostLooks, holders.count) {
            nextLook = (nextLook + 1) % holders.count
            if unsafe ctun_udp_outstanding(context, Int32(nextLook + 1)) == 0 { return nextLook + 1 }
        }
        return nil
    }
}
