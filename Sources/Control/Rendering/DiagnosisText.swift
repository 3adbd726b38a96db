/// `gatewayctl diagnose`: the steps for people.
public enum DiagnosisText {
    public static func render(_ diagnosis: Diagnosis, ink: Ink = .none) -> String {
        var text = ""
        var peer: String? = nil
        let head = ink.paint("interface", .green, bold: true)
        text += "\(head): \(diagnosis.interface)\n"
        for step in diagnosis.steps {
            if step.peer != peer {
                peer = step.peer
                text +=
                    "\n" + (peer.map { "\(ink.paint("peer", .yellow, bold: true)): \($0)" } ?? "this machine:") + "\n"
            }
            text += line(step, ink)
        }
        for reason in diagnosis.unseen { text += "\nnot looked at: \(reason)\n" }
        text += "\n" + verdict(diagnosis, ink) + "\n"
        return text
    }

    private static func line(_ step: Diagnosis.Step, _ ink: Ink) -> String {
        let word =
            switch step.status {
            case .ok: ink.paint("ok", .green)
            case .note: "note"
            case .warning: ink.paint("warning", .yellow)
            case .fails: ink.paint("FAILS", .red, bold: true)
            }
        let width = step.status == .fails ? 5 : step.status.rawValue.count
        var text = "  \(word)\(space(9 - width))\(step.step)\(space(14 - step.step.count))\(step.text)\n"
        guard step.status != .ok else { return text }
        for one in step.evidence { text += space(25) + "seen: \(one)\n" }
        if let cure = step.cure { text += space(25) + "cure: \(cure)\n" }
        return text
    }

    private static func verdict(_ diagnosis: Diagnosis, _ ink: Ink) -> String {
        guard let step = diagnosis.verdict else {
            return diagnosis.status == .warning
                ? "packets get through; see the warnings" : "nothing is wrong as far as this end can see"
        }
        return ink.bold("it fails at: \(step.step)\(step.peer.map { " of \($0)" } ?? ""): \(step.text)")
    }

    private static func space(_ count: Int) -> String { String(repeating: " ", count: max(count, 1)) }
}
