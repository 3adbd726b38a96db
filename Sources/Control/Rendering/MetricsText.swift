/// Statistics in Prometheus' text format: the names and labels of the two exporters for WireGuard that people have, so that their
/// boards go on working, and ours beside them (docs/control-api.md).
public enum MetricsText {
    /// One metric with all its samples.
    private struct Family {
        let name: String
        let type: String
        let help: String
        var samples: [(labels: [(String, String)], value: String)] = []

        init(_ name: String, _ type: String, _ help: String) {
            self.name = name
            self.type = type
            self.help = help
        }

        mutating func add(_ labels: [(String, String)], _ value: UInt64) { samples.append((labels, "\(value)")) }
        mutating func add(_ labels: [(String, String)], _ value: Double) { samples.append((labels, "\(value)")) }
    }

    public static func render(_ interface: InterfaceStatistics) -> String {
        var families = wireGuard(interface) + about(interface)
        families += traffic(interface) + paths(interface) + queues(interface) + repair(interface) + history(interface)
        var text = ""
        for family in families where !family.samples.isEmpty {
            text += "# HELP \(family.name) \(family.help)\n# TYPE \(family.name) \(family.type)\n"
            for sample in family.samples {
                let labels = sample.labels.map { "\($0.0)=\"\(escaped($0.1))\"" }.joined(separator: ",")
                text += "\(family.name){\(labels)} \(sample.value)\n"
            }
        }
        return text
    }

    // MARK: The names of others

    private static func wireGuard(_ interface: InterfaceStatistics) -> [Family] {
        var sent = Family("wireguard_sent_bytes_total", "counter", "Bytes sent to the peer")
        var received = Family("wireguard_received_bytes_total", "counter", "Bytes received from the peer")
        var latest = Family(
            "wireguard_latest_handshake_seconds", "gauge", "UNIX timestamp seconds of the last handshake")
        var device = Family("wireguard_device_info", "gauge", "Metadata about a device.")
        var info = Family("wireguard_peer_info", "gauge", "Metadata about a peer.")
        var allowed = Family(
            "wireguard_peer_allowed_ips_info", "gauge",
            "Metadata about each of a peer's allowed IP subnets for a given device.")
        var last = Family(
            "wireguard_peer_last_handshake_seconds", "gauge", "UNIX timestamp for the last handshake with a given peer."
        )
        var receive = Family(
            "wireguard_peer_receive_bytes_total", "counter", "Number of bytes received from a given peer.")
        var transmit = Family(
            "wireguard_peer_transmit_bytes_total", "counter", "Number of bytes transmitted to a given peer.")
        device.add([("device", interface.interface), ("public_key", interface.publicKey ?? "")], UInt64(1))
        for peer in interface.peers {
            var labels = [
                ("interface", interface.interface), ("public_key", peer.publicKey),
                ("allowed_ips", peer.allowedIPs.joined(separator: ",")),
            ]
            if let name = peer.name { labels.append(("friendly_name", name)) }
            sent.add(labels, peer.txBytes)
            received.add(labels, peer.rxBytes)
            latest.add(labels, UInt64(max(peer.latestHandshake, 0)))
            let ours = [("device", interface.interface), ("public_key", peer.publicKey)]
            info.add(ours + [("endpoint", peer.endpoint ?? ""), ("name", peer.name ?? "")], UInt64(1))
            for prefix in peer.allowedIPs { allowed.add(ours + [("allowed_ips", prefix)], UInt64(1)) }
            last.add(ours, UInt64(max(peer.latestHandshake, 0)))
            receive.add(ours, peer.rxBytes)
            transmit.add(ours, peer.txBytes)
        }
        return [sent, received, latest, device, info, allowed, last, receive, transmit]
    }

    // MARK: Ours

    private static func about(_ interface: InterfaceStatistics) -> [Family] {
        var build = Family("gateway_build_info", "gauge", "The version of the daemon.")
        build.add([("interface", interface.interface), ("version", Release.version)], UInt64(1))
        var uptime = Family("gateway_uptime_seconds", "gauge", "How long the daemon has run.")
        uptime.add([("interface", interface.interface)], interface.uptimeSeconds)
        var drops = Family(
            "gateway_drops_total", "counter",
            "Packets and datagrams that belong to no peer and went no further, by reason.")
        for (reason, count) in interface.drops.byReason {
            drops.add([("interface", interface.interface), ("reason", reason)], count)
        }
        var answered = Family(
            "gateway_neighbours_answered_total", "counter",
            "Questions of ARP and neighbour discovery that were answered here.")
        if let count = interface.answeredNeighbours { answered.add([("interface", interface.interface)], count) }
        var troubles = Family(
            "gateway_bridge_port_trouble", "gauge", "Something that is wrong with another port of the bridge, by kind.")
        for trouble in interface.bridgeTroubles ?? [] {
            troubles.add(
                [
                    ("interface", interface.interface), ("bridge", trouble.bridge), ("port", trouble.port),
                    ("kind", trouble.kind),
                ], UInt64(1))
        }
        return [build, uptime, drops, answered, troubles]
    }

    private static func traffic(_ interface: InterfaceStatistics) -> [Family] {
        var plain = Family("gateway_peer_plain_bytes_total", "counter", "Bytes of packets inside the tunnel.")
        var wire = Family("gateway_peer_wire_bytes_total", "counter", "UDP payload that the packets became.")
        var active = Family(
            "gateway_peer_compression_active", "gauge", "Whether packets to the peer may be compressed now.")
        var units = Family("gateway_peer_codec_units_total", "counter", "Units of a codec, both directions together.")
        var unitsPlain = Family(
            "gateway_peer_codec_plain_bytes_total", "counter", "Bytes of packets in units of a codec.")
        var unitsWire = Family("gateway_peer_codec_wire_bytes_total", "counter", "UDP payload that these units became.")
        var bundles = Family(
            "gateway_peer_bundles_total", "counter",
            "Datagrams that several small packets shared, both directions together.")
        var bundled = Family("gateway_peer_bundled_packets_total", "counter", "Packets in these datagrams.")
        var skipped = Family(
            "gateway_peer_skipped_packets_total", "counter", "Packets that were left as they are, by reason.")
        var drops = Family(
            "gateway_peer_drops_total", "counter", "Packets and datagrams of the peer that went no further, by reason.")
        for peer in interface.peers {
            let labels = Self.labels(interface, peer)
            let compression = peer.compression
            for (direction, bytes) in [("tx", compression.tx), ("rx", compression.rx)] {
                plain.add(labels + [("direction", direction)], bytes.plainBytes)
                wire.add(labels + [("direction", direction)], bytes.wireBytes)
            }
            active.add(labels, UInt64(compression.active ? 1 : 0))
            for (name, codec) in compression.codecs.sorted(by: { $0.key < $1.key }) {
                units.add(labels + [("codec", name)], codec.units)
                unitsPlain.add(labels + [("codec", name)], codec.plainBytes)
                unitsWire.add(labels + [("codec", name)], codec.wireBytes)
            }
            bundles.add(labels, compression.bundles?.datagrams ?? 0)
            bundled.add(labels, compression.bundles?.packets ?? 0)
            for (reason, count) in compression.skipped.byReason { skipped.add(labels + [("reason", reason)], count) }
            for (reason, count) in peer.drops.byReason { drops.add(labels + [("reason", reason)], count) }
        }
        return [plain, wire, active, units, unitsPlain, unitsWire, bundles, bundled, skipped, drops]
    }

    private static func paths(_ interface: InterfaceStatistics) -> [Family] {
        var handshakes = Family("gateway_peer_handshakes_total", "counter", "Sessions that were made with the peer.")
        var cipher = Family("gateway_peer_cipher_info", "gauge", "The cipher of data to the peer now.")
        var trip = Family("gateway_peer_round_trip_seconds", "gauge", "How long the way to the peer and back takes.")
        var loss = Family(
            "gateway_peer_loss_ratio", "gauge", "The part of the datagrams to the peer that got lost lately.")
        var mtu = Family("gateway_peer_path_mtu_bytes", "gauge", "How large IP packets outside may be to the peer.")
        var holes = Family(
            "gateway_peer_black_holes_total", "counter", "How often large datagrams vanished without a word.")
        var error = Family(
            "gateway_peer_refused", "gauge", "Whether nothing is sent since the two ends' configurations do not fit.")
        var problem = Family(
            "gateway_peer_last_problem_timestamp_seconds", "gauge",
            "When something last kept the peer from being reached.")
        for peer in interface.peers {
            let labels = Self.labels(interface, peer)
            if let count = peer.handshakes { handshakes.add(labels, count) }
            cipher.add(labels + [("cipher", peer.cipher)], UInt64(1))
            if peer.rttMicroseconds > 0 {
                trip.add(labels, Double(peer.rttMicroseconds) / 1e6)
                loss.add(labels, Double(peer.lossPermille) / 1000)
            }
            if let path = peer.pathMTU {
                mtu.add(labels, path.mtu)
                holes.add(labels, path.blackHoles)
            }
            error.add(labels, UInt64(peer.error == nil ? 0 : 1))
            if let time = peer.lastProblemTime { problem.add(labels, UInt64(max(time, 0))) }
        }
        return [handshakes, cipher, trip, loss, mtu, holes, error, problem]
    }

    private static func queues(_ interface: InterfaceStatistics) -> [Family] {
        var packets = Family("gateway_peer_queue_packets", "gauge", "Packets that wait in front of a link with a rate.")
        var bytes = Family("gateway_peer_queue_bytes", "gauge", "Bytes of these packets.")
        var marks = Family(
            "gateway_peer_queue_marks_total", "counter", "Packets that were marked since their queue stood.")
        var median = Family(
            "gateway_peer_queue_delay_median_seconds", "gauge", "How long half of the packets waited at most, lately.")
        var most = Family(
            "gateway_peer_queue_delay_p99_seconds", "gauge", "How long 99 of 100 packets waited at most, lately.")
        for peer in interface.peers {
            guard let queue = peer.queue else { continue }
            let labels = Self.labels(interface, peer)
            packets.add(labels, queue.packets)
            bytes.add(labels, queue.bytes)
            marks.add(labels, queue.marks)
            if let delay = queue.delayMicrosecondsP50 { median.add(labels, Double(delay) / 1e6) }
            if let delay = queue.delayMicrosecondsP99 { most.add(labels, Double(delay) / 1e6) }
        }
        return [packets, bytes, marks, median, most]
    }

    private static func repair(_ interface: InterfaceStatistics) -> [Family] {
        var datagrams = Family(
            "gateway_peer_repair_datagrams_total", "counter",
            "Datagrams that repair dealt with, by what became of them.")
        var bytes = Family("gateway_peer_repair_resent_bytes_total", "counter", "Bytes that were sent again.")
        for peer in interface.peers {
            guard let repair = peer.repair else { continue }
            let labels = Self.labels(interface, peer)
            for (outcome, count) in [
                ("resent", repair.resent), ("told", repair.told), ("gone", repair.gone), ("lost", repair.lost),
                ("repaired", repair.repaired), ("given_up", repair.givenUp),
            ] { datagrams.add(labels + [("outcome", outcome)], count) }
            bytes.add(labels, repair.resentBytes)
        }
        return [datagrams, bytes]
    }

    private static func history(_ interface: InterfaceStatistics) -> [Family] {
        var units = Family(
            "gateway_peer_history_units_total", "counter", "Units of streams, and those with a dictionary.")
        var plain = Family("gateway_peer_history_plain_bytes_total", "counter", "Bytes of the packets in them.")
        var wire = Family("gateway_peer_history_wire_bytes_total", "counter", "Bytes that these became on the wire.")
        var saved = Family(
            "gateway_peer_history_saved_bytes_total", "counter",
            "Bytes on the wire that dictionaries saved of what is sent.")
        var learned = Family(
            "gateway_peer_history_learned_total", "counter",
            "Units that the peer said it has made part of its dictionaries.")
        var failures = Family(
            "gateway_peer_history_failures_total", "counter", "Streams and units that came to nothing.")
        var memory = Family(
            "gateway_history_memory_bytes", "gauge", "Memory of units that refer to others, of all peers.")
        for peer in interface.peers {
            guard let history = peer.history else { continue }
            let labels = Self.labels(interface, peer)
            let counts: [(kind: String, direction: String, units: UInt64?, plain: UInt64?, wire: UInt64?)] = [
                ("stream", "tx", history.txUnits, history.txPlainBytes, history.txWireBytes),
                ("stream", "rx", history.rxUnits, history.rxPlainBytes, history.rxWireBytes),
                ("dictionary", "tx", history.txRecalls, history.txRecallPlainBytes, history.txRecallWireBytes),
                ("dictionary", "rx", history.rxRecalls, history.rxRecallPlainBytes, history.rxRecallWireBytes),
            ]
            for count in counts {
                let all = labels + [("kind", count.kind), ("direction", count.direction)]
                units.add(all, count.units ?? 0)
                plain.add(all, count.plain ?? 0)
                wire.add(all, count.wire ?? 0)
            }
            saved.add(labels, history.txRecallSavedBytes ?? 0)
            learned.add(labels, history.txLearned ?? 0)
            for (outcome, count) in [("broken", history.broken), ("lost", history.lost), ("wrong", history.wrong)] {
                failures.add(labels + [("outcome", outcome)], count)
            }
        }
        if let any = interface.peers.compactMap(\.history).first {
            memory.add([("interface", interface.interface)], any.memoryBytes)
        }
        return [units, plain, wire, saved, learned, failures, memory]
    }

    private static func labels(_ interface: InterfaceStatistics, _ peer: PeerStatistics) -> [(String, String)] {
        [
            ("interface", interface.interface), ("public_key", peer.publicKey),
            ("friendly_name", peer.name ?? ""),
        ]
    }

    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(character)
            }
        }
        return escaped
    }
}
