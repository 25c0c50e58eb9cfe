"use strict";
// Tables are asked for each second (pool_tables.py). What is drawn over time is the server's history of an hour
// (history.py), and since the page was opened what came then.
const LIVE_S = 600, RATE_S = 10, FAILED_S = 60, MOST = 40, DRAWER_MS = 2000, NONE = "\u2013";
const $ = id => document.getElementById(id);
let tables = {}, at = 0, past = []; // past: {at, live, figures of the pool, ends: {row: [used, mark, leases, and of live points failures, overloads, busy, ended]}}
let by = "worst", up = false, token = "", range = 300, whole = false, open = null, details = null;
const rows = name => tables[name] ?? [];
const one = name => tables[name] ?? {};

// -- words: s are seconds ----------------------------------------------------------------------------
const number = n => n >= 1e6 ? (n / 1e6).toFixed(2) + " M" : n >= 1e4 ? (n / 1e3).toFixed(n < 1e5 ? 1 : 0) + " k" : n >= 100 || Number.isInteger(n) ? String(Math.round(n)) : n.toFixed(n < 10 ? 2 : 1);
function span(s) {
  if (s == null) return NONE;
  if (s < 0.9995) return s < 0.0005 ? "0" : (s * 1000).toFixed(s < 0.00995 ? 1 : 0) + " ms";
  if (s < 99.5) return s.toFixed(s < 9.95 ? 1 : 0) + " s";
  const [unit, parts, n] = s < 3599.5 ? [" min ", " s", Math.round(s)] : [" h ", " min", Math.round(s / 60)];
  return Math.floor(n / 60) + unit + String(n % 60).padStart(2, "0") + parts;
}
const gone = s => s < 1 ? "now" : span(s) + " ago";
const percent = part => part == null ? NONE : part === 0 ? "0" : part < 0.001 ? "<0.1 %" : (100 * part).toFixed(part < 0.1 ? 1 : 0) + " %";
const bare = name => name.replace(/^https?:\/\//, "").replace(/\/$/, "");

// -- what is remembered ------------------------------------------------------------------------------
function remember(first) {
  const { waiting, acquired, failures, overloads, calls, wait_now_p50_s: p50, wait_now_p99_s: p99 } = one("pool");
  const point = { at, live: true, used: 0, force: 0, waiting, acquired, failures, overloads, calls, p50: first ? null : p50, p99: first ? null : p99, ends: {} };
  for (const e of rows("endpoints")) {
    point.used += e.in_flight; point.force += e.limit;
    point.ends[e.id] = [e.in_flight / (e.limit || e.capacity), e.mark, e.leases, e.failures, e.overloads, e.busy_s, e.successes + e.failures + e.overloads + e.ignored];
  }
  past.push(point);
  const old = past.findIndex(p => p.at > at - LIVE_S) - 1; // before that a point in ten seconds is kept
  if (old > 0 && past[old].at - past[old - 1].at < 9) past.splice(old, 1);
  while (past[0].at < at - 3700) past.shift();
}
function recall(kept) { // the history of the server, before what this page has seen
  const before = kept.points.map(p => ({ ...p, ends: {} }));
  for (const [row, e] of Object.entries(kept.endpoints)) {
    let leases = e.total;
    for (let i = e.stood.length - 1; i >= 0; i--) {
      const letter = e.stood[i], mark = { x: "bad", t: "trial", d: "drained" }[letter] ?? "ok";
      before[before.length - e.stood.length + i].ends[row] = [mark === "ok" ? letter / 9 : 0, mark, leases];
      leases -= e.leases[i];
    }
  }
  past = [...before.filter(p => p.at < past[0].at), ...past];
}
const since = s => past.find(p => p.live && p.at >= at - s - 0.5); // the oldest within so many seconds
function told(e) { // an endpoint with figures that need two instants
  const row = e.id, last = past.at(-1).ends[row], b = since(RATE_S), x = b.ends[row] ?? last, y = since(FAILED_S).ends[row] ?? last;
  const ended = last[6] - x[6], calls = last[6] - y[6], part = n => calls > 0 ? (last[n] - y[n]) / calls : null;
  const found = { ...e, row, used: last[0], rate: at > b.at ? (last[2] - x[2]) / (at - b.at) : 0, hold: ended > 0 ? (last[5] - x[5]) / ended : null, failed: part(3), loaded: part(4) };
  found.worst = { bad: 6, trial: 5 }[e.mark] ?? (found.failed > 0.05 ? 4 : found.failed ? 3 : found.loaded ? 2 : e.mark === "drained" ? 1 : 0);
  found.health = e.word + (e.back_at_s == null ? "" : ", back in " + span(Math.max(1, Math.ceil(e.back_at_s - at))));
  return found;
}

// -- drawing -----------------------------------------------------------------------------------------
const color = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name);
function paper(canvas, height = canvas.clientHeight) {
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth, pen = canvas.getContext("2d");
  for (const [of, name, value] of [[canvas.style, "height", height + "px"], [canvas, "width", Math.round(width * ratio)], [canvas, "height", Math.round(height * ratio)]]) if (of[name] !== value) of[name] = value; // else all is laid out again
  pen.setTransform(ratio, 0, 0, ratio, 0, 0); pen.clearRect(0, 0, width, height); pen.font = "11px system-ui, sans-serif"; pen.lineJoin = "round"; pen.fillStyle = color("dim");
  return [pen, width, height];
}
function words(pen, text, x, y, align) { pen.textAlign = align; pen.fillText(text, x, y); }
function scale(pen, left, width, y) { words(pen, `-${range < 3600 ? range / 60 + " min" : "1 h"}`, left, y, "left"); words(pen, "now", width, y, "right"); }
function nice(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return most > 0 ? [1, 2, 4, 6, 8, 10].find(step => step * power >= most) * power : 1;
}
function seen() { // the points of the chosen range, and one before it
  return past.slice(Math.max(0, past.findIndex(p => p.at >= at - range) - 1));
}
function trace(pen, points, values, name, [left, right, top, foot], most) {
  let on = false;
  pen.strokeStyle = color(name); pen.beginPath();
  values.forEach((value, i) => {
    const x = right - (at - points[i].at) / range * (right - left), y = foot - value / most * (foot - top);
    if (value == null || x < left) { on = false; return; }
    on ? pen.lineTo(x, y) : pen.moveTo(x, y); on = true;
  });
  pen.stroke();
}
function chart(id, points, series, say) { // series: {colour: values}, a value for each point
  const [pen, width, height] = paper($(id)), left = 46, foot = height - 16, top = 6, most = nice(Object.values(series).flat().reduce((a, b) => Math.max(a, b), 0));
  pen.strokeStyle = color("grid");
  for (const part of [0, 0.5, 1]) {
    const y = Math.round(foot - part * (foot - top)) + 0.5;
    pen.beginPath(); pen.moveTo(left, y); pen.lineTo(width, y); pen.stroke(); words(pen, say(part * most), left - 6, y + 4, "right");
  }
  scale(pen, left, width, height - 3);
  pen.lineWidth = 1.6;
  for (const [name, values] of Object.entries(series)) trace(pen, points, values, name, [left, width, top, foot], most);
}
const slope = (points, value) => points.map((p, i) => {
  const a = i && value(points[i - 1]), b = value(p);
  return i && a != null && b != null ? Math.max(0, (b - a) / (p.at - points[i - 1].at)) : null;
});
function spark(canvas, row, points) { // leases a second, in forty steps; of a size that needs no layout, for a thousand of them
  const some = points.filter((p, i) => !i || Math.floor(p.at * 40 / range) > Math.floor(points[i - 1].at * 40 / range)), rates = slope(some, p => p.ends[row]?.[2]), pen = canvas.getContext("2d");
  pen.clearRect(0, 0, 128, 32); pen.lineWidth = 2; trace(pen, some, rates, "one", [0, 128, 2, 30], Math.max(1e-9, ...rates));
}
let strip = null, drawn = -1;
function line(found) {
  if (at > drawn && at - drawn < past.length * found.length / 20000) return; // a thousand endpoints take their time
  drawn = at;
  const canvas = $("line"), pen = canvas.getContext("2d"), named = found.length < 150, longest = 8 + Math.max(0, ...found.map(e => pen.measureText(bare(e.name)).width));
  const above = longest > 0.4 * canvas.clientWidth, tall = !named ? 4 : above ? 32 : 17, left = named && !above ? longest : 0, down = named && above ? 14 : 0;
  const [, width, height] = paper(canvas, Math.max(1, found.length) * tall + 16), points = seen(), x_of = s => Math.max(left, Math.round(width - (at + 1 - s) / range * (width - left)));
  const kinds = Object.fromEntries(["one", "bad", "trial", "drained", "grid", "dim"].map(name => [name, color(name)]));
  found.forEach((e, n) => {
    const y = n * tall + down, high = tall > 4 ? 15 : tall;
    if (named) { pen.fillStyle = kinds.dim; words(pen, bare(e.name), 0, n * tall + 11, "left"); }
    points.forEach((p, i) => {
      const [part, mark] = p.ends[e.row] ?? [], x = x_of(p.at), wide = x_of(points[i + 1]?.at ?? p.at + 1) - x, plain = mark === "ok" || mark === "none";
      if (mark == null) return;
      pen.fillStyle = kinds.grid; pen.fillRect(x, y, wide, high);
      pen.globalAlpha = !plain ? 1 : part && 0.15 + 0.85 * Math.min(1, part); pen.fillStyle = kinds[plain ? "one" : mark]; pen.fillRect(x, y, wide, high); pen.globalAlpha = 1;
    });
  });
  pen.fillStyle = kinds.dim; scale(pen, left, width, height - 3);
  strip = { found, tall, left, width };
}
$("line").onpointermove = event => {
  const tip = $("tip"), e = strip?.found[Math.floor(event.offsetY / strip.tall)], when = at + 1 - (strip.width - event.offsetX) / (strip.width - strip.left) * range;
  const p = e && past.findLast(p => p.at <= when), [part, mark] = p?.ends[e.row] ?? [];
  if (tip.hidden = mark == null || event.offsetX < strip.left) return;
  tip.textContent = `${e.name}, ${gone(at - p.at)}: ${{ bad: "out of service", trial: "on trial or resting", drained: "draining" }[mark] ?? percent(part) + " of its slots in use"}`;
  tip.style.left = Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8) + "px"; tip.style.top = event.clientY + 14 + "px";
};
$("line").onpointerleave = () => { $("tip").hidden = true; };

// -- elements: they are kept where they are, so a selection in them stays ---------------------------
const h = (tag, props = {}, ...kids) => ({ tag, props: typeof props === "object" ? props : { textContent: props }, kids });
function fill(node, kids) {
  if (node.firstChild?.nodeType === Node.TEXT_NODE) node.textContent = "";
  kids.forEach((kid, i) => {
    let there = node.children[i];
    if (there?.localName !== kid.tag) { const made = document.createElement(kid.tag); there ? there.replaceWith(made) : node.append(made); there = made; }
    for (const [name, value] of Object.entries(kid.props)) if (there[name] !== value || name === "value") there[name] = value;
    if (!("textContent" in kid.props)) fill(there, kid.kids);
  });
  while (node.children.length > kids.length) node.lastChild.remove();
}
const say = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };
const cell = said => typeof said === "object" ? said : h("td", { textContent: said, className: /^[-\d<\u2013]/.test(said) ? "n" : "text" });
function table(id, heads, found) { // rows of texts or cells; a table without rows is hidden with its section
  const head = heads.map((each, i) => typeof each === "object" ? each : h("th", { textContent: each, className: i ? "n" : "" }));
  fill($(id), [h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...found.map(cells => h("tr", {}, ...cells.map(cell))))]);
  if ($(id).closest("#pair")) $(id).closest("section").hidden = !found.length && id !== "holders";
}
const list = (id, found, none) => fill($(id), found.length ? found.map(([when, text]) => h("li", {}, h("time", gone(at - when)), h("span", text))) : [h("li", none)]);
const marked = e => [h("span", { className: "mark " + e.mark, textContent: "" }), h("span", e.health)];
const of_slots = e => `${e.in_flight} of ${e.limit}` + (e.limit === e.capacity ? "" : ` (${e.capacity})`);
function button(e) {
  const what = e.state === "active" ? "drain" : "restore";
  return h("button", { textContent: what, disabled: !token || e.state === "retiring", onclick: () => press(what, e.row) });
}
async function press(what, endpoint) {
  const headers = { "Authorization": "Bearer " + token, "Content-Type": "application/json" };
  const answer = await fetch("admin/" + what, { method: "POST", headers, body: JSON.stringify({ endpoint }) }).catch(() => null);
  say("said", answer?.ok ? "" : `${what}: ${(await answer?.json().catch(() => null))?.error ?? "no answer"}`);
}
function tiles() {
  const pool = one("pool"), now = past.at(-1), b = since(RATE_S), c = since(FAILED_S), calls = now.calls - c.calls;
  const part = name => calls ? (now[name] - c[name]) / calls : null, ends = rows("endpoints"), out = ends.filter(e => e.limit === 0).length;
  fill($("tiles"), [
    ["slots in use", String(now.used), "of " + now.force], ["waiting", number(now.waiting), pool.timed_out ? number(pool.timed_out) + " gave up" : ""],
    ["leases a second", at > b.at ? number((now.acquired - b.acquired) / (at - b.at)) : NONE, ""], ["leases", number(pool.acquired), ""], ["endpoints out", String(out), "of " + ends.length, out],
    ["failures, 1 min", percent(part("failures")), number(pool.failures) + " in all", part("failures") > 0.05], ["overloads, 1 min", percent(part("overloads")), number(pool.overloads) + " in all"],
    ["wait p50", span(pool.wait_p50_s), "p99 " + span(pool.wait_p99_s)], ["retries", number(pool.retries), number(pool.hedges) + " hedges"],
  ].map(([title, value, rest, bad]) => h("div", {}, h("div", title), h("div", { textContent: value, className: bad ? "value hot" : "value" }), h("small", rest))));
}
const HEADS = [["name", "endpoint"], ["worst", "health", "wide"], ["used", "slots"], ["rate", "leases/s", "n"], [null, ""], ["hold", "held", "n wide", "mean of the leases that ended in the last ten seconds"], ["failed", "failures", "n", "of the calls of the last minute"], ["loaded", "overloads", "n", "of the calls of the last minute"], ["leases", "leases", "n more"], ["ejections", "ejected", "n more"]];
function order(key) { [by, up] = by !== key ? [key, false] : up ? ["worst", false] : [by, true]; again(); }
function endpoints() { // returns those that are shown, in order
  const all = rows("endpoints").map(told), wanted = $("filter").value.trim().toLowerCase(), way = up ? -1 : 1, buttons = one("page").buttons;
  const left = all.filter(e => (e.worst || !$("troubled").checked) && (e.name.toLowerCase().includes(wanted) || e.word.includes(wanted)));
  left.sort((a, b) => (by === "name" ? a.name.localeCompare(b.name, "en", { numeric: true }) : (b[by] ?? -1) - (a[by] ?? -1)) * way);
  const shown = whole ? left : left.slice(0, MOST), points = seen();
  say("counted", left.length === all.length ? `${all.filter(e => e.worst).length} troubled` : `${left.length} of ${all.length}`);
  $("rest").hidden = left.length <= MOST; say("rest", whole ? `show the first ${MOST}` : `show all ${left.length}`); $("key").hidden = !buttons;
  const heads = HEADS.map(([key, text, kind = "", title = ""]) => {
    const sorted = by !== key ? "none" : (by === "name") === up ? "descending" : "ascending";
    return h("th", { id: "by-" + key, className: kind, title, ariaSort: sorted }, ...key ? [h("button", { textContent: text, onclick: () => order(key) })] : []);
  });
  const plain = (said, kind) => h("td", { textContent: said, className: kind });
  table("endpoints", [...heads, ...buttons ? [h("th", { className: "act" })] : []], shown.map(e => [
    h("td", { className: "name" }, h("button", { className: "open", title: e.name, textContent: bare(e.name), onclick: () => pull(e.row) }), h("div", { className: "narrow" }, ...marked(e))), h("td", { className: "wide" }, ...marked(e)),
    h("td", {}, h("progress", { max: e.limit || e.capacity, value: Math.min(e.in_flight, e.limit || e.capacity) }), h("span", of_slots(e))), plain(number(e.rate), "n"), h("td", {}, h("canvas", { className: "spark", width: 128, height: 32 })), plain(span(e.hold), "n wide"),
    plain(percent(e.failed), e.failed > 0.05 ? "n hot" : "n"), plain(percent(e.loaded), "n"), plain(number(e.leases), "n more"), plain(number(e.ejections), "n more"), ...buttons ? [h("td", { className: "act" }, button(e))] : [],
  ]));
  document.querySelectorAll(".spark").forEach((canvas, n) => spark(canvas, shown[n].row, points));
  return shown;
}

// -- the drawer --------------------------------------------------------------------------------------
let timer = 0;
function pull(row) { open = row; details = null; $("drawer").hidden = false; $("drawer").focus(); ask(); show(); }
function shut() { open = null; clearTimeout(timer); $("drawer").hidden = true; }
async function ask() { // only while it is open: how long leases are held, and the last errors
  clearTimeout(timer);
  const row = open, answer = row == null || document.hidden ? null : await fetch("endpoint?id=" + encodeURIComponent(row)).catch(() => null), said = answer?.ok ? await answer.json().catch(() => null) : null;
  if (row == null || open !== row) return;
  details = said ?? details; drawer(); timer = setTimeout(ask, DRAWER_MS);
}
$("shut").onclick = shut;
onkeydown = event => { if (event.key === "Escape") shut(); };
function drawer() {
  if (open == null) return;
  const there = tables.endpoints.find(e => e.id === open);
  if (!there) { shut(); return; }
  const e = told(there), held = details?.held, points = seen();
  say("who", e.name); fill($("how"), [...marked(e), ...one("page").buttons ? [button(e)] : []]);
  table("facts", [], [
    ["slots in use", of_slots(e)], ["leases", `${number(e.leases)}, ${number(e.rate)} a second`], ["held p50, p99", held?.ended ? `${span(held.p50_s)}, ${span(held.p99_s)}, of ${number(held.ended)} in the last ${span(at - held.since_s)}` : NONE],
    ["failures", `${number(e.failures)}, ${percent(e.failed)} in 1 min`], ["overloads", `${number(e.overloads)}, ${percent(e.loaded)} in 1 min`], ["ejected", `${number(e.ejections)} times`],
    ["out of service", (e.out_s ? span(e.out_s) + " in all" : "never") + (e.why_out ? "; now: " + e.why_out : "")], ...e.spared ? [["would be ejected", e.spared + "; but no more may be (max_ejected_share)"]] : [], ["weight", String(e.weight)],
  ].map(([name, said]) => [h("th", name), h("td", { className: "text n", textContent: said })]));
  chart("own", points, { one: slope(points, p => p.ends[open]?.[2]) }, number);
  table("kinds", [], (details?.kinds ?? []).map(k => [k.kind || "no reason known", k.outcome, String(k.times)]));
  list("errors", (details?.errors ?? []).map(x => [x.at_s, x.outcome + (x.said && ": " + x.said)]), details ? "None is known." : "\u2026");
}

// -- the rest ----------------------------------------------------------------------------------------
function others() {
  const short = Object.fromEntries(rows("endpoints").map(e => [e.name, e.short])), share = (used, most) => number(used) + (most == null ? "" : " of " + number(most)), sources = rows("sources");
  fill($("alarms"), sources.filter(s => s.trouble).map(s => h("p", `source ${s.name}: ${s.trouble}; ${s.answered_at_s == null ? "it has not answered yet" : "its last answer came " + gone(at - s.answered_at_s)}`)));
  table("holders", ["holder", "leases", "slots", h("th", "on"), "oldest", "waiting", "waits for"], rows("holders").map(x => [h("td", { textContent: x.id, className: "text" }), number(x.leases), number(x.slots),
    h("td", { className: "text", textContent: x.on.map(([name, n]) => (short[name] ?? bare(name)) + (n > 1 ? ` (${n})` : "")).join(", ") + (x.places > 3 ? `, ${x.places - 3} more` : "") }), span(x.since_s && at - x.since_s), number(x.waiting), span(x.waits_since_s && Math.max(0, at - x.waits_since_s))]));
  list("news", rows("news").toReversed().map(x => [x.at_s, (x.endpoint && bare(x.endpoint) + ": ") + x.said]), "Nothing yet: no endpoint was ejected, drained or restored.");
  table("shares", ["holder", "weight", "share", "slots", "waiting", "leases", "wait p50", "p99"], rows("shares").map(x => [h("td", { textContent: x.name, className: "text" }), number(x.weight), (100 * x.share).toFixed(1) + " %", ...[x.in_flight, x.waiting, x.leases].map(number), span(x.wait_p50_s), span(x.wait_p99_s)]));
  table("sources", ["source", h("th", "kind"), "endpoints", "missing", "held back"], sources.map(s => [s.name, s.kind, ...[s.endpoints, s.missing, s.held].map(number)]));
  table("quotas", ["quota", "requests", "tokens"], rows("quotas").map(q => [q.name, share(q.requests, q.requests_per_min), share(q.tokens, q.tokens_per_min)]));
  const state = one("run");
  if ($("run").hidden = state.done == null) return;
  $("done").max = state.done + state.ahead || 1; $("done").value = state.done;
  say("progress", [state.title, `${number(state.done)} of ${number(state.done + state.ahead)} runs`, span(state.spent_s), state.left, state.doing].filter(Boolean).join(" \u00b7 "));
  table("problems", ["problem", "round", "cases", "survivors"], rows("problems").map(p => [h("td", { textContent: p.id + (p.over ? " \u2713" : ""), className: "text" }), ...p.round == null ? [NONE, NONE, NONE] : [number(p.round), number(p.cases), `${p.survivors} of ${p.wrong}`]]));
}
function show() {
  if (!past.length || document.hidden) return;
  const name = one("page").name || "balancer", points = seen(), out = rows("endpoints").filter(e => e.mark === "bad").length;
  say("name", name); document.title = (out ? `(${out} out) ` : "") + (name === "balancer" ? name : name + " \u00b7 balancer");
  say("strategy", `${one("pool").strategy} \u00b7 ${rows("endpoints").length} endpoints`);
  fill($("ranges"), [h("span", "range"), ...[[300, "5 min"], [900, "15 min"], [3600, "1 h"]].map(([s, text]) => h("button", { textContent: text, className: s === range ? "on" : "", onclick: () => { range = s; again(); } }))]);
  tiles();
  chart("rate", points, { two: slope(points, p => p.overloads), bad: slope(points, p => p.failures), one: slope(points, p => p.acquired) }, number);
  chart("slots", points, { drained: points.map(p => p.force), two: points.map(p => p.waiting), one: points.map(p => p.used) }, number);
  const timed = points.filter(p => p.p50 != null); // all but the first that a page sees
  chart("wait", timed, { two: timed.map(p => p.p99), one: timed.map(p => p.p50) }, span);
  line(endpoints()); others(); drawer();
}
function again() { drawn = -1; show(); }
$("key").onsubmit = () => false;
$("token").oninput = event => { token = event.target.value.trim(); show(); };
for (const id of ["filter", "troubled"]) $(id).oninput = again;
$("rest").onclick = () => { whole = !whole; again(); };
onresize = () => requestAnimationFrame(again);
matchMedia("(prefers-color-scheme: dark)").onchange = again;
document.onvisibilitychange = () => { show(); ask(); };

let cut = true;
async function look() {
  const said = await fetch("state", { signal: AbortSignal.timeout(10000) }).then(answer => answer.ok ? answer.json() : null).catch(() => null);
  setTimeout(look, 1000);
  say("link", said ? "live" : "not connected; what is shown is old"); $("link").className = said ? "" : "off";
  if (said) {
    if (said.at_s < at) past = []; // another process answers
    tables = said; at = said.at_s; remember(cut);
    requestAnimationFrame(show);
  }
  if (said && cut) fetch("history").then(answer => answer.json()).then(kept => { recall(kept); again(); }).catch(() => null);
  cut = !said;
}
look();
