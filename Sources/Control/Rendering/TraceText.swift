/// `gatewayctl trace`: a packet's way through the chain as a line: `84 B icmp ▸ zstd 52 ▸ aes 96 B`.
public enum TraceText {
    public static func line(_ line: TraceLine, isUnicode: Bool = true, ink: Ink = .none) -> String {
        let arrow = isUnicode ? " ▸ " : " > "
        let name = line.peer ?? line.publicKey.map { "\($0.prefix(8))…" } ?? "-"
        let inside = line.packets > 0 || line.plainBytes > 0 ? [inside(line, isUnicode)] : []
        var steps: [String] = []
        if let codec = line.codec {
            steps.append(ink.paint(line.codedBytes.map { "\(codec) \($0)" } ?? codec, .green))
        } else if let skipped = line.skipped {
            steps.append("\(ink.paint("plain", .yellow)) (\(skipped))")
        }
        if line.form == "bundle" || line.form == "pack" { steps.append(line.form) }
        if let record = line.record { steps.append(record) }
        if line.form == "keepalive" || line.form == "handshake" { steps.append(line.form) }
        let wire = line.wireBytes > 0 ? [wire(line)] : []
        let chain = line.direction == "out" ? inside + steps + wire : wire + steps.reversed() + inside
        var text = chain.joined(separator: arrow)
        if let dropped = line.dropped {
            let count = line.droppedCount ?? 1
            text +=
                (text.isEmpty ? "" : arrow) + ink.paint("dropped: \(dropped)", .red) + (count > 1 ? " ×\(count)" : "")
        }
        return "\(time(line.time)) \(line.direction == "out" ? "out" : "in ") \(ink.bold(name))  \(text)"
    }

    private static func inside(_ line: TraceLine, _ isUnicode: Bool) -> String {
        var text = line.packets > 1 ? "\(line.packets) packets " : ""
        text += "\(line.plainBytes) B"
        guard let transport = line.transport else { return text }
        text += " \(transport)"
        if let source = line.source, let destination = line.destination {
            text += " \(source) \(isUnicode ? "→" : "->") \(destination)"
        }
        return text
    }

    private static func wire(_ line: TraceLine) -> String {
        let datagrams = line.datagrams > 1 ? "\(line.datagrams) datagrams " : ""
        let cipher = line.cipher.map { $0.hasPrefix("aes") ? "aes " : "chacha " } ?? ""
        return "\(cipher)\(datagrams)\(line.wireBytes) B"
    }

    /// `12:00:00.123`, of the machine's zone.
    private static func time(_ seconds: Double) -> String {
        let thousandths = Int((seconds * 1000).rounded(.down)) % 1000
        let digits = "\(thousandths + 1000)".dropFirst()
        return "\(EventText.time(seconds).suffix(8)).\(digits)"
    }

    /// What is said where some were passed over.
    public static func sample(_ sample: TraceSample) -> String {
        "\(sample.told) of \(sample.seen) told; now one of \(sample.every)"
    }
}
