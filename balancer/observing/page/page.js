"use strict";
// Tables come as changes (balancer/observing/page/pool_tables.py); what is drawn over time is remembered here, since the page was opened.
const KEPT = 600, RATE_S = 10, FAILED_S = 60;
const tables = {}, $ = id => document.getElementById(id);
const past = []; // {at, pool figures, ends: {row: [used, mark, leases, failures, busy, ended]}}
let at = 0, by = null, token = "";

function apply(told, all) {
  if (all) for (const name of Object.keys(tables)) delete tables[name];
  for (const [name, news] of Object.entries(told)) {
    const rows = tables[name] ??= new Map();
    for (const [column, pairs] of Object.entries(news.set ?? {}))
      for (let i = 0; i < pairs.length; i += 2) {
        if (!rows.has(pairs[i])) rows.set(pairs[i], {});
        rows.get(pairs[i])[column] = pairs[i + 1];
      }
    for (const row of news.gone ?? []) rows.delete(row);
  }
}
const rows = name => tables[name] ?? new Map();
const one = name => rows(name).get("") ?? {};

// -- words ---------------------------------------------------------------------------------------
const number = n => n >= 1e6 ? (n / 1e6).toFixed(2) + " M" : n >= 1e5 ? Math.round(n / 1e3) + " k" : n >= 1e4 ? (n / 1e3).toFixed(1) + " k" : n >= 100 || Number.isInteger(n) ? String(Math.round(n)) : n.toFixed(n < 10 ? 2 : 1);
function span(s) {
  if (s == null) return "";
  if (s < 0.0005) return "0";
  if (s < 0.9995) return (s * 1000 < 9.95 ? (s * 1000).toFixed(1) : Math.round(s * 1000)) + " ms";
  if (s < 99.5) return (s < 9.95 ? s.toFixed(1) : Math.round(s)) + " s";
  if (s < 5400) return Math.floor(s / 60) + " min " + String(Math.round(s % 60)).padStart(2, "0") + " s";
  return Math.floor(s / 3600) + " h " + String(Math.round(s % 3600 / 60)).padStart(2, "0") + " min";
}
const percent = part => part === 0 ? "0" : part < 0.001 ? "<0.1 %" : (100 * part).toFixed(part < 0.1 ? 1 : 0) + " %";
function stand(e) { // [mark, word]
  if (e.state !== "active") return ["drained", e.state];
  if (e.health === "ejected" || e.health === "spent") return ["bad", e.health];
  if (e.health === "half_open") return ["trial", "on trial"];
  if (e.health === "resting") return ["trial", "resting"];
  if (e.health === "slow_start") return ["ok", "slow start"];
  return e.health ? ["ok", e.health] : ["none", "not watched"];
}
const back = e => e.back_at_s == null ? "" : ", back in " + span(Math.max(1, Math.ceil(e.back_at_s - at)));

// -- what is remembered ------------------------------------------------------------------------------
function remember() {
  const pool = one("pool"), ends = {};
  let used = 0, force = 0;
  for (const [row, e] of rows("endpoints")) {
    used += e.in_flight; force += e.limit;
    ends[row] = [e.in_flight / (e.limit || e.capacity), stand(e)[0], e.leases, e.failures + e.overloads, e.busy_s, e.successes + e.failures + e.overloads + e.ignored];
  }
  past.push({ at, used, force, waiting: pool.waiting, acquired: pool.acquired, failed: pool.failures + pool.overloads, calls: pool.calls, p50: pool.wait_now_p50_s, p99: pool.wait_now_p99_s, ends });
  if (past.length > KEPT) past.shift();
}
const since = s => past.find(p => p.at >= at - s - 0.5) ?? past[past.length - 1]; // the oldest within so many seconds
function of(row, e) { // figures of an endpoint that need two instants
  const now = past[past.length - 1].ends[row], b = since(RATE_S), c = since(FAILED_S), x = b.ends[row] ?? now, y = c.ends[row] ?? now, dt = at - b.at;
  const ended = now[5] - x[5], calls = now[5] - y[5];
  return { used: now[0], rate: dt > 0 ? (now[2] - x[2]) / dt : 0, hold: ended > 0 ? (now[4] - x[4]) / ended : null, failed: calls > 0 ? (now[3] - y[3]) / calls : null };
}

// -- drawing -----------------------------------------------------------------------------------------
const color = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
function paper(canvas, height) {
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth;
  if (height) canvas.style.height = height + "px"; else height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) { canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio); }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0); pen.clearRect(0, 0, width, height); pen.font = "11px system-ui, sans-serif";
  return [pen, width, height];
}
function nice(most) {
  if (!(most > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 4, 6, 8, 10].find(step => step * power >= most) * power;
}
const window_s = () => Math.max(60, Math.min(KEPT, Math.ceil((at - past[0].at) / 60) * 60));
function chart(id, series, say) { // series: [colour, values]
  const [pen, width, height] = paper($(id)), left = 46, bottom = 16, top = 5, over = window_s();
  const most = nice(Math.max(...series.map(([, values]) => Math.max(0, ...values.filter(v => v != null)))));
  pen.textBaseline = "middle"; pen.fillStyle = color("dim"); pen.strokeStyle = color("grid"); pen.lineWidth = 1;
  for (const part of [0, 0.5, 1]) {
    const y = Math.round(height - bottom - part * (height - bottom - top)) + 0.5;
    pen.beginPath(); pen.moveTo(left, y); pen.lineTo(width, y); pen.stroke();
    pen.textAlign = "right"; pen.fillText(say(part * most), left - 6, y);
  }
  pen.textBaseline = "alphabetic"; pen.textAlign = "left"; pen.fillText("-" + over / 60 + " min", left, height - 3); pen.textAlign = "right"; pen.fillText("now", width, height - 3);
  for (const [name, values] of series) {
    pen.strokeStyle = color(name); pen.lineWidth = 1.6; pen.lineJoin = "round"; pen.beginPath();
    let on = false;
    values.forEach((value, i) => {
      if (value == null) { on = false; return; }
      const x = width - (at - past[i].at) / over * (width - left), y = height - bottom - value / most * (height - bottom - top);
      if (x < left) { on = false; return; }
      on ? pen.lineTo(x, y) : pen.moveTo(x, y); on = true;
    });
    pen.stroke();
  }
}
const slope = key => past.map((p, i) => i && p.at > past[i - 1].at ? (p[key] - past[i - 1][key]) / (p.at - past[i - 1].at) : null);
const short = name => name.replace(/^https?:\/\//, "").replace(/\/$/, "");
let strip = null, drawn = -1;
function line() {
  if (at - drawn < past.length * rows("endpoints").size / 20000 && at > drawn) return; // a thousand endpoints take their time
  drawn = at;
  const all = [...rows("endpoints")], tall = all.length > 150 ? 4 : all.length > 40 ? 11 : 17;
  const [pen, width] = paper($("line"), Math.max(1, all.length) * tall + 16);
  const left = tall < 11 ? 0 : Math.min(width < 600 ? 120 : 230, 8 + Math.max(0, ...all.map(([, e]) => pen.measureText(short(e.name)).width)));
  const over = window_s(), step = (width - left) / over, kinds = Object.fromEntries(["one", "bad", "trial", "drained", "grid"].map(n => [n, color(n)]));
  pen.textBaseline = "middle";
  all.forEach(([row, e], n) => {
    const y = n * tall, high = tall > 4 ? tall - 2 : tall;
    if (left) {
      let name = short(e.name);
      while (name.length > 4 && pen.measureText(name).width > left - 8) name = "\u2026" + name.slice(name[0] === "\u2026" ? 2 : 1);
      pen.font = (tall > 11 ? 11 : 10) + "px system-ui, sans-serif"; pen.fillStyle = color("dim"); pen.textAlign = "left"; pen.fillText(name, 0, y + high / 2 + 0.5);
    }
    past.forEach((p, i) => {
      const was = p.ends[row], until = past[i + 1]?.at ?? p.at + 1, x = Math.max(left, Math.round(width - (at + 1 - p.at) * step)), end = Math.round(width - (at + 1 - until) * step);
      if (!was || end <= left) return;
      pen.fillStyle = kinds.grid; pen.fillRect(x, y, end - x, high);
      const plain = was[1] === "ok" || was[1] === "none", part = Math.min(1, was[0]);
      if (plain && part === 0) return;
      pen.globalAlpha = plain ? 0.15 + 0.85 * part : 1; pen.fillStyle = plain ? kinds.one : kinds[was[1]]; pen.fillRect(x, y, end - x, high); pen.globalAlpha = 1;
    });
  });
  pen.font = "11px system-ui, sans-serif"; pen.fillStyle = color("dim"); pen.textBaseline = "alphabetic";
  const foot = all.length * tall + 13;
  pen.textAlign = "left"; pen.fillText("-" + over / 60 + " min", left, foot); pen.textAlign = "right"; pen.fillText("now", width, foot);
  strip = { all, tall, left, step, width };
}
$("line").addEventListener("pointermove", event => {
  const tip = $("tip"), found = strip?.all[Math.floor(event.offsetY / strip.tall)], when = at + 1 - (strip.width - event.offsetX) / strip.step;
  const p = found && past.findLast(p => p.at <= when), was = p?.ends[found[0]];
  tip.hidden = !was || event.offsetX < strip.left;
  if (tip.hidden) return;
  tip.textContent = `${found[1].name}, ${span(at - p.at) || "0 s"} ago: ${percent(was[0])} of its slots in use${was[1] === "ok" || was[1] === "none" ? "" : ", " + { bad: "out of service", trial: "on trial or resting", drained: "draining" }[was[1]]}`;
  tip.style.left = Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8) + "px"; tip.style.top = event.clientY + 14 + "px";
});
$("line").addEventListener("pointerleave", () => { $("tip").hidden = true; });

// -- tables ------------------------------------------------------------------------------------------
function put(parent, tag, text, kind) {
  const node = document.createElement(tag);
  if (kind) node.className = kind;
  if (text != null) node.textContent = text;
  return parent.appendChild(node);
}
function say(node, text) { if (node.textContent !== text) node.textContent = text; }
function tiles() {
  const pool = one("pool"), now = past[past.length - 1], b = since(RATE_S), c = since(FAILED_S), dt = now.at - b.at;
  const calls = now.calls - c.calls, failed = now.failed - c.failed;
  let out = 0, all = 0;
  for (const e of rows("endpoints").values()) { all += 1; out += e.limit === 0; }
  const found = [
    ["slots in use", now.used, "of " + now.force], ["waiting", number(now.waiting), pool.timed_out ? number(pool.timed_out) + " gave up" : ""],
    ["leases a second", dt > 0 ? number((now.acquired - b.acquired) / dt) : "\u2013", ""], ["leases", number(pool.acquired), ""],
    ["failed, 1 min", calls ? percent(failed / calls) : "\u2013", number(pool.failures + pool.overloads) + " in all", failed / calls > 0.05],
    ["wait p50 / p99", span(pool.wait_p50_s) + " / " + span(pool.wait_p99_s), ""], ["retries, hedges", number(pool.retries) + ", " + number(pool.hedges), ""],
    ["endpoints out", String(out), "of " + all, out > 0],
  ];
  const at = $("tiles");
  if (!at.children.length) for (const _ of found) { const tile = put(at, "div"); put(tile, "div", "", "of"); const value = put(tile, "div", "", "value"); put(value, "span"); put(value, "small"); }
  found.forEach(([title, value, rest, bad], n) => {
    const [head, body] = at.children[n].children;
    say(head, title); say(body.children[0], String(value)); say(body.children[1], rest ? " " + rest : ""); body.classList.toggle("bad", !!bad);
  });
}
function lines(id, found) { // found: [key, cells]; rows are kept, so a selection in them stays
  const body = $(id).tBodies[0], kept = new Map([...body.rows].map(tr => [tr.dataset.key, tr]));
  found.forEach(([key, cells], n) => {
    let tr = kept.get(key);
    if (!tr) { tr = document.createElement("tr"); tr.dataset.key = key; cells.forEach(([, kind]) => put(tr, "td", "", kind)); }
    kept.delete(key);
    if (body.rows[n] !== tr) body.insertBefore(tr, body.rows[n] ?? null);
    cells.forEach(([text, kind, fill], i) => { const cell = tr.cells[i]; if (cell.className !== (kind ?? "")) cell.className = kind ?? ""; fill ? fill(cell) : say(cell, text); });
  });
  for (const tr of kept.values()) tr.remove();
}
function endpoints() {
  const buttons = one("page").buttons;
  document.querySelector("#endpoints .act").hidden = !buttons; $("key").hidden = !buttons;
  let found = [...rows("endpoints")].map(([row, e]) => ({ row, ...e, ...of(row, e), word: stand(e)[1] }));
  if (by) found.sort((a, b) => typeof a[by] === "string" ? a[by].localeCompare(b[by], "en", { numeric: true }) : (b[by] ?? -1) - (a[by] ?? -1));
  lines("endpoints", found.map(e => [e.row, [
    ["", "name", cell => { if (cell.title !== e.name) { cell.title = e.name; cell.textContent = ""; put(cell, "bdi", short(e.name)); } }],
    ["", "", cell => { if (!cell.firstChild) { put(cell, "span", "", "mark"); put(cell, "span"); } cell.firstChild.className = "mark " + stand(e)[0]; say(cell.lastChild, e.word + back(e)); }],
    ["", "", cell => { if (!cell.firstChild) { put(put(cell, "span", "", "used"), "i"); put(cell, "span"); } cell.firstChild.firstChild.style.width = 100 * Math.min(1, e.in_flight / Math.max(1, e.limit || e.capacity)) + "%"; say(cell.lastChild, `${e.in_flight} of ${e.limit}${e.limit === e.capacity ? "" : " (" + e.capacity + ")"}`); }],
    [number(e.rate), "n"], [e.hold == null ? "\u2013" : span(e.hold), "n"],
    [e.failed == null ? "\u2013" : percent(e.failed), e.failed > 0.05 ? "n hot" : "n"], [number(e.failures + e.overloads), "n more"], [number(e.leases), "n more"], [number(e.ejections), "n more"],
    ...(buttons ? [["", "act", cell => {
      const b = cell.firstChild ?? put(cell, "button"), what = e.state === "active" ? "drain" : "restore";
      say(b, what); b.disabled = !token || e.state === "retiring"; b.onclick = () => press(what, e.row);
    }]] : []),
  ]]));
}
async function press(what, row) {
  const answer = await fetch(what, { method: "POST", headers: { "Authorization": "Bearer " + token, "Content-Type": "application/json" }, body: JSON.stringify({ endpoint: row }) }).catch(() => null);
  say($("said"), answer?.ok ? "" : `${what}: ${(await answer?.json().catch(() => null))?.error ?? "no answer"}`);
}
$("token").addEventListener("input", event => { token = event.target.value.trim(); if (past.length) endpoints(); });
$("key").addEventListener("submit", event => event.preventDefault());
document.querySelectorAll("th[data-by]").forEach(head => head.addEventListener("click", () => {
  by = by === head.dataset.by ? null : head.dataset.by;
  document.querySelectorAll("th[data-by]").forEach(each => each.classList.toggle("by", each.dataset.by === by));
  if (past.length) endpoints();
}));
function others() {
  const wide = [...rows("holders").values()].some(h => h.waiting != null);
  document.querySelector("#holders .wide").hidden = !wide;
  lines("holders", [...rows("holders")].map(([row, h]) => [row, [[row], [number(h.leases), "n"], [number(h.slots), "n"], [h.since_s == null ? "\u2013" : span(at - h.since_s), "n"], ...(wide ? [[number(h.waiting ?? 0), "n"]] : [])]]));
  const news = [...rows("news")].reverse(), list = $("news"), newest = news[0]?.[0] ?? "";
  if (list.dataset.newest !== newest || !list.children.length) {
    list.dataset.newest = newest; list.textContent = "";
    if (!news.length) put(list, "li", "Nothing yet: no endpoint was ejected, drained or restored.", "empty");
    for (const [, each] of news) { const li = put(list, "li"); put(li, "time"); put(li, "span", (each.endpoint ? short(each.endpoint) + ": " : "") + each.said); li.dataset.at = each.at_s; }
  }
  for (const li of list.children) if (li.dataset.at) say(li.firstChild, span(Math.max(0, at - li.dataset.at)) + " ago");
  $("fair").hidden = !rows("shares").size;
  lines("shares", [...rows("shares")].map(([row, h]) => [row, [[h.name], [number(h.weight), "n"], [(100 * h.share).toFixed(1) + " %", "n"], [number(h.slots), "n"], [number(h.waiting), "n"], [number(h.leases), "n"], [span(h.wait_p50_s), "n"], [span(h.wait_p99_s), "n"]]]));
  $("quota").hidden = !rows("quotas").size;
  $("source").hidden = !rows("sources").size;
  lines("sources", [...rows("sources")].map(([row, s]) => [row, [[s.name], [s.kind], [s.endpoints, "n"], [s.missing, "n"], [s.held, "n"], [s.trouble || "none"]]]));
  const share = (used, most) => most == null ? number(used) : `${number(used)} of ${number(most)}`;
  lines("quotas", [...rows("quotas")].map(([row, q]) => [row, [[q.name], [share(q.requests, q.requests_per_min), "n"], [share(q.tokens, q.tokens_per_min), "n"]]]));
}
function run() {
  const state = one("run");
  $("run").hidden = state.done == null;
  if (state.done == null) return;
  const total = state.done + state.ahead;
  $("done").style.width = (total ? 100 * state.done / total : 0) + "%";
  say($("progress"), [`${state.title}`, `${number(state.done)} of ${number(total)} runs`, span(state.spent_s), state.left, state.left_s > 60 ? "until " + new Date(Date.now() + 1000 * state.left_s).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) : "", state.doing].filter(Boolean).join(" \u00b7 "));
  const found = [...rows("problems")];
  $("problems").hidden = !found.length;
  lines("problems", found.map(([row, p]) => [row, [[row + (p.over ? " \u2713" : "")], [p.round == null ? "\u2013" : String(p.round), "n"], [p.cases == null ? "\u2013" : number(p.cases), "n"], [p.survivors == null ? "\u2013" : `${p.survivors} of ${p.wrong}`, p.survivors ? "n hot" : "n"]]]));
}
function show() {
  if (!past.length) return;
  const pool = one("pool");
  say($("strategy"), `${pool.strategy} \u00b7 ${rows("endpoints").size} endpoints`);
  tiles(); run();
  chart("rate", [["one", slope("acquired")], ["two", slope("failed")]], number);
  chart("slots", [["three", past.map(p => p.force)], ["one", past.map(p => p.used)], ["four", past.map(p => p.waiting)]], number);
  chart("wait", [["four", past.map(p => p.p99)], ["one", past.map(p => p.p50)]], s => s ? span(s) : "0");
  line(); endpoints(); others();
}
addEventListener("resize", () => requestAnimationFrame(show));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);

const source = new EventSource("events");
source.onmessage = event => {
  const told = JSON.parse(event.data);
  apply(told.tables, told.all);
  if (told.all && told.at_s < at) past.length = 0; // another process answers
  at = told.at_s; remember();
  say($("link"), "live"); $("link").className = "";
  if (!document.hidden) requestAnimationFrame(show);
};
source.onerror = () => { say($("link"), "not connected; what is shown is old"); $("link").className = "off"; };
document.addEventListener("visibilitychange", show);
