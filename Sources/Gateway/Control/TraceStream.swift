import Addresses
import Capture
import Control
import Keys
import LinuxIO
import NIOCore
import NIOHTTP1
import TunnelCore

/// What goes on to one client until there is no more, or the client goes.
protocol ControlStream: AnyObject {
    /// The client takes more again.
    func pump()
}

extension EventStream: ControlStream {}

/// What becomes of packets, to one client as server-sent events, or the packets as a capture. On the channel's event loop; what was
/// written is fetched from the data thread some times a second.
final class TraceStream: ControlStream {
    private static let beat = 15.0

    private let question: TraceQuestion
    private let number: UInt64
    private let daemon: Daemon
    private let channel: any Channel
    private var spare: TraceBatch
    private var left: Int
    private var size: Int
    private let endsAt: Int64
    private var saidAt: Int64
    private var sample = TraceSample(seen: 0, told: 0, every: 1)
    private var lost: UInt64 = 0
    /// What is to be sent with the next `flush`: a line at a time costs the processor more than the trace itself.
    private var pending = ByteBuffer()
    private var isOver = false

    init(_ question: TraceQuestion, _ number: UInt64, _ daemon: Daemon, _ channel: any Channel) {
        self.question = question
        self.number = number
        self.daemon = daemon
        self.channel = channel
        spare = question.batch
        left = question.count
        size = question.size
        let now = bootTime()
        endsAt = now + Int64(question.seconds) * 1_000_000_000
        saidAt = now
    }

    func start() {
        let own = NIOLoopBound(self, eventLoop: channel.eventLoop)
        channel.closeFuture.whenComplete { _ in own.value.end() }
        if question.isCapture {
            write(PcapngWriter.start(link: link, interface: daemon.configuration.interface.name.description))
        } else {
            write(Array(":\n\n".utf8))
        }
        flush()
        wait()
    }

    func pump() {}

    /// The packets' kind of link: payloads have none that others know.
    private var link: UInt16 {
        switch question.wish.content {
        case .payloads: PcapngWriter.user0
        case .plain where daemon.configuration.interface.mode == .tap: PcapngWriter.ethernet
        default: PcapngWriter.raw
        }
    }

    private func wait() {
        let own = NIOLoopBound(self, eventLoop: channel.eventLoop)
        channel.eventLoop.scheduleTask(in: .nanoseconds(question.pause.nanoseconds)) { own.value.fetch() }
    }

    private func fetch() {
        guard !isOver, channel.isActive else { return }
        // Who takes nothing for long finds that it has ended.
        guard channel.isWritable else { return wait() }
        let own = NIOLoopBound(self, eventLoop: channel.eventLoop)
        let loop = channel.eventLoop
        let fresh = spare
        spare = TraceBatch(records: 0)
        let isPosted = daemon.commands.post { [number] data, now in
            let batch = data.tunnel.takeTrace(number, for: fresh, at: now)
            loop.execute { own.value.take(batch) }
        }
        guard !isPosted else { return }
        spare = question.batch
        wait()
    }

    private func take(_ batch: TraceBatch?) {
        guard !isOver, channel.isActive else { return }
        guard var batch else { return finish() }
        for record in batch.records where left > 0 {
            left -= 1
            if question.isCapture { writePacket(record, batch) } else { writeLine(record, batch) }
        }
        lost += batch.left
        sample.seen += batch.seen
        sample.told += UInt64(batch.records.count)
        sample.every = batch.every
        batch.clear()
        spare = batch
        let now = bootTime()
        let isLate = Double(now - saidAt) / 1e9
        if !question.isCapture, isLate >= 1, sample.told < sample.seen {
            if let data = try? JSON.encode(sample) { write("sample", data) }
            sample = TraceSample(seen: 0, told: 0, every: sample.every)
            saidAt = now
        } else if !question.isCapture, isLate >= Self.beat {
            write(Array(":\n\n".utf8))
            saidAt = now
        }
        flush()
        guard left > 0, size > 0, now < endsAt else { return finish() }
        wait()
    }

    private func finish() {
        if question.isCapture {
            let now = wallClock()
            write(PcapngWriter.statistics(dropped: lost, at: (now.seconds, Int64(now.nanoseconds))))
        }
        flush()
        channel.writeAndFlush(HTTPServerResponsePart.end(nil)).whenComplete { [channel] _ in channel.close(promise: nil)
        }
    }

    /// The client has gone, or all was said.
    private func end() {
        guard !isOver else { return }
        isOver = true
        Self.end(number, daemon, on: channel.eventLoop)
    }

    private static func end(_ number: UInt64, _ daemon: Daemon, on loop: any EventLoop) {
        guard !daemon.commands.post({ data, _ in data.tunnel.endTrace(number) }) else { return }
        loop.scheduleTask(in: .milliseconds(100)) { end(number, daemon, on: loop) }
    }

    // MARK: Words

    private func writeLine(_ record: TraceRecord, _ batch: TraceBatch) {
        let line = TraceLine(record, batch) { [daemon] in daemon.settings.peer($0)?.name }
        if let data = try? JSON.encode(line) { write("packet", data) }
    }

    private func writePacket(_ record: TraceRecord, _ batch: TraceBatch) {
        let range = Int(record.offset)..<Int(record.offset) + Int(record.captured)
        var packet = Array(batch.bytes[range])
        var original = Int(record.original)
        if question.wish.content == .wire {
            let outer = PcapngWriter.outerHeader(record.flow, payload: original)
            packet = outer + packet
            original += outer.count
        }
        let comment = record.drop.map { "dropped: \($0.name)" }
        let block = PcapngWriter.packet(
            packet, original: original, at: (record.at.seconds, Int64(record.at.nanoseconds)),
            isInbound: record.direction == .into, comment: comment)
        size -= block.count
        write(block)
    }

    private func write(_ event: String, _ data: [UInt8]) {
        write(Array("event: \(event)\ndata: ".utf8) + data + Array("\n\n".utf8))
    }

    private func write(_ bytes: [UInt8]) { pending.writeBytes(bytes) }

    private func flush() {
        guard pending.readableBytes > 0 else { return }
        channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(pending)), promise: nil)
        pending = ByteBuffer()
    }
}

extension PcapngWriter {
    /// The IP and UDP headers of a datagram; of an address that is not known, zero.
    fileprivate static func outerHeader(_ flow: TraceFlow, payload: Int) -> [UInt8] {
        guard flow.source?.isV4 == false || flow.destination?.isV4 == false else {
            let (from, to) = (v4(flow.source), v4(flow.destination))
            return udp4(from: (from, flow.sourcePort), to: (to, flow.destinationPort), payload: payload)
        }
        let (from, to) = (v6(flow.source), v6(flow.destination))
        return udp6(from: (from, flow.sourcePort), to: (to, flow.destinationPort), payload: payload)
    }

    private static func v4(_ address: IPAddress?) -> UInt32 { if case .v4(let bits) = address { bits } else { 0 } }
    private static func v6(_ address: IPAddress?) -> UInt128 { if case .v6(let bits) = address { bits } else { 0 } }
}
