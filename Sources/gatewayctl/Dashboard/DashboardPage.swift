/// The page of `gatewayctl dashboard`: one text, with all that it needs.
enum DashboardPage {
    static func html(nonce: String) -> String {
        """
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark"><title>gateway</title><link rel="icon" href="data:,">
        <style nonce="\(nonce)">\(style)</style></head>
        <body><a class="skip" href="#peers">Skip to the peers</a>
        <header><h1 id="title">gateway</h1><p id="state" role="status">connecting…</p></header>
        <main><section id="peers" aria-label="Peers"></section>
        <section aria-labelledby="events-title"><h2 id="events-title">Events</h2>
        <div class="scroll" tabindex="0" role="region" aria-label="Events, the newest first">
        <table id="events"><thead><tr><th scope="col">Time</th><th scope="col">Kind</th><th scope="col">What</th></tr></thead>
        <tbody></tbody></table></div></section></main>
        <script nonce="\(nonce)">\(script)</script></body></html>
        """
    }

    private static let style = """
        :root{--back:#f6f7f9;--card:#fff;--text:#16191d;--soft:#56606b;--line:#d5dae0;--out:#0b5cad;--in:#a34700;--bad:#b3261e;--good:#1b6e3c}
        @media(prefers-color-scheme:dark){:root{--back:#101316;--card:#1a1e23;--text:#e8ebee;--soft:#a3adb8;--line:#343b43;--out:#74b6ff;--in:#ffb072;--bad:#ff8a80;--good:#7fd49b}}
        *{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--text);font:15px/1.45 system-ui,sans-serif}
        header{padding:.8rem 1rem;display:flex;flex-wrap:wrap;gap:.2rem 1rem;align-items:baseline;border-bottom:1px solid var(--line)}
        h1{font-size:1.2rem;margin:0}h2{font-size:1.05rem;margin:0 0 .4rem}h3{font-size:.85rem;margin:0 0 .1rem;color:var(--soft);font-weight:600}
        #state{margin:0;color:var(--soft)}main{padding:1rem;max-width:1500px;margin:auto}
        .peer,main>section:last-child{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.8rem;margin-bottom:1rem}
        .grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,260px),1fr));gap:.9rem}
        .chart svg{display:block;width:100%;height:90px}.now{font-variant-numeric:tabular-nums;font-weight:600;min-height:1.45em}
        .legend{color:var(--soft);font-size:.8rem;margin:0}.legend b{font-weight:600}.o{color:var(--out)}.i{color:var(--in)}
        table{border-collapse:collapse;width:100%;font-size:.85rem;font-variant-numeric:tabular-nums}th,td{text-align:left;padding:.15rem .5rem .15rem 0;vertical-align:top;border-bottom:1px solid var(--line)}
        th{color:var(--soft);font-weight:600}td.n,th.n{text-align:right}.scroll{overflow:auto;max-height:20rem}.bad{color:var(--bad)}.good{color:var(--good)}
        .about{margin:0 0 .6rem;color:var(--soft);overflow-wrap:anywhere}td{overflow-wrap:anywhere}#events td:nth-child(-n+2){white-space:nowrap}
        .bar{height:.25rem;min-width:1px;margin-left:auto;background:var(--out);border-radius:.125rem}.services{margin-bottom:.6rem}
        .skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:.5rem;background:var(--card);padding:.3rem}
        :focus-visible{outline:2px solid var(--out);outline-offset:2px}
        """

    private static let script = #"""
        "use strict";
        const LENGTH = 120, seen = new Map(), cards = new Map();
        const make = (name, attributes = {}, ...inside) => {
          const one = document.createElement(name);
          for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
          one.append(...inside); return one;
        };
        const rate = (bits) => bits >= 1e9 ? (bits / 1e9).toFixed(2) + " Gbit/s" : bits >= 1e6 ? (bits / 1e6).toFixed(1) + " Mbit/s"
          : bits >= 1e3 ? (bits / 1e3).toFixed(1) + " kbit/s" : Math.round(bits) + " bit/s";
        const time = (us) => us == null ? "unknown" : us < 1000 ? Math.round(us) + " µs" : (us / 1000).toFixed(1) + " ms";
        const bytes = (n) => { const units = ["B", "KiB", "MiB", "GiB", "TiB"]; let u = 0; while (n >= 1024 && u < 4) { n /= 1024; u++; }
          return (u ? n.toFixed(1) : n) + " " + units[u]; };
        const KINDS = [
          { id: "through", title: "Throughput", text: rate, legend: '<b class="o">out</b> and <b class="i">in</b>; inside solid, on the wire dashed',
            series: [["out inside", "out"], ["in inside", "in"], ["out on the wire", "out", 1], ["in on the wire", "in", 1]] },
          { id: "ratio", title: "Ratio, inside to wire", text: (v) => v.toFixed(2) + "x", legend: '<b class="o">out</b> and <b class="i">in</b>, of each second',
            series: [["out", "out"], ["in", "in"]] },
          { id: "queue", title: "Queue delay", text: time, legend: 'half of the packets solid, 99 of 100 dashed', series: [["half", "out"], ["99 %", "in", 1]] },
          { id: "trip", title: "Round trip", text: time, legend: 'between the gateways', series: [["round trip", "out"]] },
          { id: "loss", title: "Loss", text: (v) => v.toFixed(1) + " %", legend: 'of datagrams to the peer', series: [["loss", "in"]] },
          { id: "repair", title: "Repair", text: (v) => v.toFixed(0) + "/s", legend: '<b class="o">sent again</b>, <b class="i">had back</b>', series: [["sent again", "out"], ["had back", "in"]] },
        ];
        function card(peer) {
          const name = peer.name || peer.publicKey.slice(0, 8) + "…", id = "p" + cards.size;
          const box = make("article", { class: "peer", "aria-labelledby": id });
          const about = make("p", { class: "about" }), grid = make("div", { class: "grid" }), charts = {};
          for (const kind of KINDS) {
            const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
            svg.setAttribute("role", "img"); svg.setAttribute("viewBox", "0 0 240 90"); svg.setAttribute("preserveAspectRatio", "none");
            const now = make("p", { class: "now" }), legend = make("p", { class: "legend" });
            now.style.margin = 0; legend.innerHTML = kind.legend;
            charts[kind.id] = { svg, now, values: kind.series.map(() => []) };
            grid.append(make("div", { class: "chart" }, make("h3", {}, kind.title), now, svg, legend));
          }
          const table = make("table"), saved = make("div"), services = make("div", { class: "services" }), left = make("p", { class: "about" });
          box.append(make("h2", { id }, name), about, grid, make("h3", {}, "By codec"), table, left, services, saved);
          document.getElementById("peers").append(box);
          return { box, about, charts, table, saved, services, left, name };
        }
        function draw(kind, chart, label) {
          const all = chart.values.flat().filter((v) => v != null), most = Math.max(...all, 0) || 1, least = kind.id == "ratio" ? Math.min(1, ...all) : 0;
          const known = chart.values.map((list) => list.at(-1)), ns = chart.svg.namespaceURI;
          const path = (values) => { let text = "", pen = "M"; values.forEach((v, n) => { if (v == null) { pen = "M"; return; }
            text += pen + (240 - (values.length - 1 - n) * 240 / (LENGTH - 1)).toFixed(1) + " " + (86 - (v - least) / ((most - least) || 1) * 80).toFixed(1); pen = "L"; }); return text; };
          const lines = kind.series.map(([, color, dashed], n) => { const one = document.createElementNS(ns, "path");
            for (const [k, v] of Object.entries({ d: path(chart.values[n]), fill: "none", stroke: `var(--${color})`, "stroke-width": 1.8, "vector-effect": "non-scaling-stroke" })) one.setAttribute(k, v);
            if (dashed) one.setAttribute("stroke-dasharray", "4 3"); return one; });
          const base = document.createElementNS(ns, "path"); base.setAttribute("d", "M0 86H240"); base.setAttribute("stroke", "var(--line)"); base.setAttribute("vector-effect", "non-scaling-stroke");
          const words = kind.series.map(([name], n) => name + " " + (known[n] == null ? "unknown" : kind.text(known[n])));
          chart.svg.replaceChildren(base, ...lines);
          chart.svg.setAttribute("aria-label", `${kind.title} of ${label}: ${words.join(", ")}; the most in two minutes ${kind.text(all.length ? Math.max(...all) : 0)}`);
          chart.now.textContent = known.slice(0, 2).map((v) => v == null ? "–" : kind.text(v)).join(" · ");
        }
        function rows(table, head, list) {
          const line = (cells, name) => make("tr", {}, ...cells.map((cell, n) => make(name, name == "th" ? { scope: "col", class: n ? "n" : "" } : { class: n ? "n" : "" }, String(cell))));
          table.replaceChildren(make("thead", {}, line(head, "th")), make("tbody", {}, ...list.map((cells) => line(cells, "td"))));
        }
        function show(peer, now) {
          if (!cards.has(peer.publicKey)) cards.set(peer.publicKey, card(peer));
          const one = cards.get(peer.publicKey), last = seen.get(peer.publicKey), c = peer.compression, repair = peer.repair || {};
          const count = { op: c.tx.plainBytes, ip: c.rx.plainBytes, ow: c.tx.wireBytes, iw: c.rx.wireBytes, again: repair.resent || 0, back: (repair.repaired || 0) + (repair.rebuilt || 0), now };
          seen.set(peer.publicKey, count);
          const per = (key, by = 1) => last ? Math.max(0, (count[key] - last[key]) * by / ((now - last.now) / 1000)) : null;
          const ratio = (p, w) => last && count[w] > last[w] ? (count[p] - last[p]) / (count[w] - last[w]) : null;
          const queue = peer.queue || {};
          const values = { through: [per("op", 8), per("ip", 8), per("ow", 8), per("iw", 8)], ratio: [ratio("op", "ow"), ratio("ip", "iw")],
            queue: [queue.delayMicrosecondsP50 ?? null, queue.delayMicrosecondsP99 ?? null], trip: [peer.rttMicroseconds || null], loss: [peer.lossPermille / 10], repair: [per("again"), per("back")] };
          for (const kind of KINDS) { const chart = one.charts[kind.id];
            values[kind.id].forEach((value, n) => { chart.values[n].push(value); if (chart.values[n].length > LENGTH) chart.values[n].shift(); });
            draw(kind, chart, one.name); }
          const age = peer.latestHandshake ? Math.max(0, Math.round(now / 1000 - peer.latestHandshake)) + " s ago" : "never";
          one.about.textContent = `${peer.endpoint || "no endpoint"} · handshake ${age} · ${peer.cipher} · compression ${c.configured}${c.active ? ", active" : ""}`
            + (peer.lastProblem ? ` · last problem: ${peer.lastProblem}` : "");
          const h = peer.history || {}, part = (name, plain, wire) => plain ? [[name, { plainBytes: plain, wireBytes: wire }]] : [];
          const list = [["all out", c.tx], ["all in", c.rx], ...Object.entries(c.codecs).sort(), ...(c.bundles && c.bundles.datagrams ? [["bundles", c.bundles]] : []),
            ...part("streams out", h.txPlainBytes, h.txWireBytes), ...part("streams in", h.rxPlainBytes, h.rxWireBytes),
            ...part("dictionaries out", h.txRecallPlainBytes, h.txRecallWireBytes), ...part("dictionaries in", h.rxRecallPlainBytes, h.rxRecallWireBytes)];
          rows(one.table, ["", "inside", "on the wire", "ratio"], list.map(([name, b]) => [name, bytes(b.plainBytes), bytes(b.wireBytes), b.wireBytes ? (b.plainBytes / b.wireBytes).toFixed(2) + "x" : "–"]));
          const drops = Object.entries(peer.drops).filter(([, n]) => n > 0).map(([k, n]) => `${k} ${n}`), skipped = Object.entries(c.skipped).filter(([, n]) => n > 0).map(([k, n]) => `${k} ${n}`);
          one.left.textContent = `Left plain: ${skipped.join(", ") || "none"}. Drops: ${drops.join(", ") || "none"}.`;
          const services = (c.services || []).slice(0, 12);
          if (services.length) { const table = make("table"), most = Math.max(...services.map((s) => s.plainBytes / (s.wireBytes || 1)), 1);
            rows(table, ["service", "inside", "on the wire", "ratio"], services.map((s) => [s.service, bytes(s.plainBytes), bytes(s.wireBytes), s.wireBytes ? (s.plainBytes / s.wireBytes).toFixed(2) + "x" : "–"]));
            table.querySelectorAll("tbody tr").forEach((row, n) => { const bar = make("div", { class: "bar", "aria-hidden": "true" });
              bar.style.width = Math.round(100 * services[n].plainBytes / (services[n].wireBytes || 1) / most) + "%"; row.lastChild.append(bar); });
            one.services.replaceChildren(make("h3", {}, "Ratio by protocol, sent"), table);
          } else one.services.replaceChildren();
          const would = c.wouldSave;
          if (would && would.sampledBytes) { const table = make("table");
            rows(table, ["service", "looked at", "would save"], would.services.slice(0, 12).map((s) => [s.service, bytes(s.sampledBytes), Math.round(100 * s.savedBytes / s.sampledBytes) + " %"]));
            one.saved.replaceChildren(make("h3", {}, "What compression would have saved"), table);
          } else one.saved.replaceChildren();
        }
        function tell(events) {
          document.querySelector("#events tbody").replaceChildren(...events.slice().reverse().map((e) => make("tr", {},
            make("td", {}, new Date(e.time * 1000).toLocaleTimeString()), make("td", { class: e.level == "info" ? "" : "bad" }, e.kind), make("td", {}, e.text))));
        }
        let told = "";
        const say = (text, isBad) => { const state = document.getElementById("state"); state.className = isBad ? "bad" : ""; if (told != text) state.textContent = told = text; };
        async function turn() {
          try {
            const answer = await fetch("/data", { cache: "no-store" });
            if (!answer.ok) throw new Error((await answer.text()).trim());
            const { statistics, events } = await answer.json(), now = Date.now();
            document.title = document.getElementById("title").textContent = statistics.interface;
            say(`${statistics.peers.length} ${statistics.peers.length == 1 ? "peer" : "peers"}, UDP port ${statistics.listenPort}, live`);
            const keys = new Set(statistics.peers.map((p) => p.publicKey));
            for (const [key, one] of cards) if (!keys.has(key)) { one.box.remove(); cards.delete(key); seen.delete(key); }
            for (const peer of statistics.peers) show(peer, now);
            tell(events);
          } catch (error) { say(error instanceof TypeError ? "gatewayctl dashboard has ended" : error.message, true); }
          setTimeout(turn, 1000);
        }
        turn();
        """#
}
