"use strict";
// Tables come as changes (balancer/observing/page/pool_tables.py). What is drawn over time is the server's history of an
// hour (history.py), and since the page was opened what comes each second.
const LIVE = 600, RATE_S = 10, FAILED_S = 60, MOST = 40, DRAWER_MS = 2000;
const tables = {}, $ = id => document.getElementById(id);
let past = []; // {at, figures of the pool, ends: {row: [used, mark, leases]}}
const live = []; // {at, figures of the pool, ends: {row: [leases, failures, overloads, busy, ended]}}, of the last minute
let at = 0, by = "worst", up = false, token = "", range = 900, all_rows = false, open = null, told_of = null;

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
const gone = s => s < 1 ? "now" : span(s) + " ago";
const percent = part => part === 0 ? "0" : part < 0.001 ? "<0.1 %" : (100 * part).toFixed(part < 0.1 ? 1 : 0) + " %";
function stand(e) { // [mark, word]
  if (e.state !== "active") return ["drained", e.state];
  if (e.health === "ejected" || e.health === "spent") return ["bad", e.health];
  if (e.health === "half_open") return ["trial", "on trial"];
  if (e.health === "resting") return ["trial", "resting"];
  if (e.spared) return ["trial", "would be ejected"];
  if (e.health === "slow_start") return ["ok", "slow start"];
  return e.health ? ["ok", e.health] : ["none", "not watched"];
}
const back = e => e.back_at_s == null ? "" : ", back in " + span(Math.max(1, Math.ceil(e.back_at_s - at)));

// -- what is remembered ------------------------------------------------------------------------------
function remember(first) {
  const pool = one("pool"), ends = {}, full = {};
  let used = 0, force = 0;
  for (const [row, e] of rows("endpoints")) {
    used += e.in_flight; force += e.limit;
    ends[row] = [e.in_flight / (e.limit || e.capacity), stand(e)[0], e.leases];
    full[row] = [e.leases, e.failures, e.overloads, e.busy_s, e.successes + e.failures + e.overloads + e.ignored];
  }
  const figures = { at, used, force, waiting: pool.waiting, acquired: pool.acquired, failures: pool.failures, overloads: pool.overloads, calls: pool.calls, p50: first ? null : pool.wait_now_p50_s, p99: first ? null : pool.wait_now_p99_s };
  past.push({ ...figures, ends });
  live.push({ ...figures, ends: full });
  while (live.length > 1 && live[1].at <= at - FAILED_S - 0.5) live.shift();
  const old = past.findIndex(p => p.at > at - LIVE) - 1; // beyond ten minutes a point in ten seconds is kept
  if (old > 0 && past[old].at - past[old - 1].at < 9) past.splice(old, 1);
  while (past.length && past[0].at < at - 3700) past.shift();
}
function recall(kept) { // the history of the server, before what this page has seen
  const first = past[0]?.at ?? Infinity, n = kept.points.length, before = kept.points.map(p => ({ ...p, ends: {} }));
  for (const [row, e] of Object.entries(kept.endpoints)) {
    const start = n - e.stood.length;
    let leases = e.total;
    for (let i = e.stood.length - 1; i >= 0; i--) {
      const letter = e.stood[i], mark = { x: "bad", t: "trial", d: "drained" }[letter] ?? "ok";
      before[start + i].ends[row] = [mark === "ok" ? letter / 9 : 0, mark, leases];
      leases -= e.leases[i];
    }
  }
  past = [...before.filter(p => p.at < first), ...past];
}
const since = s => live.find(p => p.at >= at - s - 0.5) ?? live[live.length - 1]; // the oldest within so many seconds
function of(row, e) { // figures of an endpoint that need two instants
  const now = live[live.length - 1].ends[row], b = since(RATE_S), c = since(FAILED_S), x = b.ends[row] ?? now, y = c.ends[row] ?? now, dt = at - b.at;
  const ended = now[4] - x[4], calls = now[4] - y[4], of_calls = n => calls > 0 ? (now[n] - y[n]) / calls : null;
  return { used: e.in_flight / (e.limit || e.capacity), rate: dt > 0 ? (now[0] - x[0]) / dt : 0, hold: ended > 0 ? (now[3] - x[3]) / ended : null, failed: of_calls(1), loaded: of_calls(2) };
}
function worst(e) { // how troubled an endpoint is; 0: not at all
  const mark = stand(e)[0];
  return mark === "bad" ? 6 : mark === "trial" ? 5 : e.failed > 0.05 ? 4 : e.failed > 0 ? 3 : e.loaded > 0 ? 2 : mark === "drained" ? 1 : 0;
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
const begun = () => past.findIndex(p => p.at >= at - range);
const shown_past = () => past.slice(Math.max(0, begun() - 1));
const window_s = () => Math.max(60, Math.min(range, Math.ceil((at - past[0].at) / 60) * 60));
const ago = s => "-" + (s >= 3600 ? s / 3600 + " h" : Math.round(s / 60) + " min");
function chart(id, points, series, say) { // series: [colour, values], a value for each point
  const [pen, width, height] = paper($(id)), left = 46, bottom = 16, top = 5, over = window_s();
  const most = nice(Math.max(...series.map(([, values]) => values.reduce((a, b) => b > a ? b : a, 0))));
  pen.textBaseline = "middle"; pen.fillStyle = color("dim"); pen.strokeStyle = color("grid"); pen.lineWidth = 1;
  for (const part of [0, 0.5, 1]) {
    const y = Math.round(height - bottom - part * (height - bottom - top)) + 0.5;
    pen.beginPath(); pen.moveTo(left, y); pen.lineTo(width, y); pen.stroke();
    pen.textAlign = "right"; pen.fillText(say(part * most), left - 6, y);
  }
  pen.textBaseline = "alphabetic"; pen.textAlign = "left"; pen.fillText(ago(over), left, height - 3); pen.textAlign = "right"; pen.fillText("now", width, height - 3);
  for (const [name, values] of series) {
    pen.strokeStyle = color(name); pen.lineWidth = 1.6; pen.lineJoin = "round"; pen.beginPath();
    let on = false;
    values.forEach((value, i) => {
      if (value == null) { on = false; return; }
      const x = width - (at - points[i].at) / over * (width - left), y = height - bottom - value / most * (height - bottom - top);
      if (x < left) { on = false; return; }
      on ? pen.lineTo(x, y) : pen.moveTo(x, y); on = true;
    });
    pen.stroke();
  }
}
const slope = (points, value) => points.map((p, i) => {
  const a = i && value(points[i - 1]), b = value(p);
  return i && a != null && b != null && p.at > points[i - 1].at ? Math.max(0, (b - a) / (p.at - points[i - 1].at)) : null;
});
const short = name => name.replace(/^https?:\/\//, "").replace(/\/$/, "");
let common = [0, 0]; // letters that all names begin and end with, up to the last sign between words
function compare() {
  const names = [...rows("endpoints").values()].map(e => short(e.name)), first = names[0] ?? "";
  const shared = pick => { let n = 0; while (names.length > 1 && n < first.length && names.every(name => pick(name, n) === pick(first, n))) n++; return n; };
  let before = shared((name, n) => name[n]), after = shared((name, n) => name[name.length - 1 - n]);
  while (before && /[A-Za-z0-9]/.test(first[before - 1])) before--;
  while (after && /[A-Za-z0-9]/.test(first[first.length - after])) after--;
  const least = Math.min(...names.map(name => name.length));
  common = before + after < least && names.some(name => name.length > 20) ? [before > 3 ? before : 0, after > 3 ? after : 0] : [0, 0];
}
const apart = name => { // without what all names have in common
  const told = short(name), [before, after] = common;
  return rows("endpoints").size > 1 ? (before ? "\u2026" : "") + told.slice(before, told.length - after) + (after ? "\u2026" : "") : told;
};
const narrow = matchMedia("(max-width: 700px)");
const middle = (name, fits) => { // cut in the middle: the ends tell names apart
  let keep = name.length;
  while (keep > 5 && !fits(name)) { keep -= 1; name = name.slice(0, Math.ceil(keep / 2) - 1) + "\u2026" + name.slice(name.length - Math.floor(keep / 2)); }
  return name;
};
function spark(cell, row, points) { // the leases a second of an endpoint, in forty steps
  const steps = 40, over = window_s(), each_s = over / steps, sums = Array(steps).fill(0), seen_s = Array(steps).fill(0);
  for (let i = 1; i < points.length; i++) {
    const a = points[i - 1].ends[row], b = points[i].ends[row], from = over - (at - points[i - 1].at), to = over - (at - points[i].at);
    if (!a || !b || to <= from) continue;
    for (let n = Math.max(0, Math.floor(from / each_s)); n < steps && n * each_s < to; n++) {
      const s = Math.min(to, (n + 1) * each_s) - Math.max(from, n * each_s);
      sums[n] += Math.max(0, b[2] - a[2]) * s / (to - from); seen_s[n] += s;
    }
  }
  const rates = sums.map((sum, n) => seen_s[n] > 0 ? sum / seen_s[n] : null), most = rates.reduce((a, b) => b > a ? b : a, 1e-9), begins = rates.findIndex(rate => rate != null);
  const path = rates.map((rate, n) => rate == null ? "" : `${n > begins ? "L" : "M"}${(n * 64 / (steps - 1)).toFixed(1)} ${(15 - 13 * rate / most).toFixed(1)}`).join("");
  const svg = cell.firstChild ?? cell.appendChild($("sparkline").content.firstChild.cloneNode(true));
  svg.firstChild.setAttribute("d", path);
}
let strip = null, drawn = -1;
function line(found) {
  if (at - drawn < past.length * found.length / 20000 && at > drawn) return; // a thousand endpoints take their time
  drawn = at;
  const points = shown_past(), tall = found.length > 150 ? 4 : found.length > 40 ? 11 : 17;
  const [pen, width] = paper($("line"), Math.max(1, found.length) * tall + 16);
  pen.font = (tall > 11 ? 11 : 10) + "px system-ui, sans-serif";
  const left = tall < 11 ? 0 : Math.min(width < 600 ? 150 : 330, 8 + Math.max(0, ...found.map(e => pen.measureText(narrow.matches ? apart(e.name) : short(e.name)).width)));
  const over = window_s(), step = (width - left) / over, kinds = Object.fromEntries(["one", "bad", "trial", "drained", "grid"].map(n => [n, color(n)]));
  pen.textBaseline = "middle";
  found.forEach((e, n) => {
    const y = n * tall, high = tall > 4 ? tall - 2 : tall;
    if (left) {
      pen.fillStyle = color("dim"); pen.textAlign = "left";
      pen.fillText(middle(narrow.matches ? apart(e.name) : short(e.name), name => pen.measureText(name).width <= left - 8), 0, y + high / 2 + 0.5);
    }
    points.forEach((p, i) => {
      const was = p.ends[e.row], until = points[i + 1]?.at ?? p.at + 1, x = Math.max(left, Math.round(width - (at + 1 - p.at) * step)), end = Math.round(width - (at + 1 - until) * step);
      if (!was || end <= left) return;
      pen.fillStyle = kinds.grid; pen.fillRect(x, y, end - x, high);
      const plain = was[1] === "ok" || was[1] === "none", part = Math.min(1, was[0]);
      if (plain && part === 0) return;
      pen.globalAlpha = plain ? 0.15 + 0.85 * part : 1; pen.fillStyle = plain ? kinds.one : kinds[was[1]]; pen.fillRect(x, y, end - x, high); pen.globalAlpha = 1;
    });
  });
  pen.font = "11px system-ui, sans-serif"; pen.fillStyle = color("dim"); pen.textBaseline = "alphabetic";
  const foot = found.length * tall + 13;
  pen.textAlign = "left"; pen.fillText(ago(over), left, foot); pen.textAlign = "right"; pen.fillText("now", width, foot);
  strip = { found, tall, left, step, width };
}
$("line").addEventListener("pointermove", event => {
  const tip = $("tip"), found = strip?.found[Math.floor(event.offsetY / strip.tall)], when = at + 1 - (strip.width - event.offsetX) / strip.step;
  const p = found && past.findLast(p => p.at <= when), was = p?.ends[found.row];
  tip.hidden = !was || event.offsetX < strip.left;
  if (tip.hidden) return;
  tip.textContent = `${found.name}, ${span(at - p.at) || "0 s"} ago: ${was[1] === "ok" || was[1] === "none" ? percent(was[0]) + " of its slots in use" : { bad: "out of service", trial: "on trial or resting", drained: "draining" }[was[1]]}`;
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
function name_in(cell, name) { // cut in the middle, at any width: the first part shrinks, the last does not
  const told = narrow.matches ? apart(name) : short(name);
  if (cell.dataset.told === told) return;
  const end = told.length > 24 ? 14 : 0;
  cell.title = name; cell.dataset.told = told; cell.textContent = "";
  const box = put(cell, "span", null, "cut");
  put(put(box, "span", null, "head"), "bdi", told.slice(0, told.length - end)); put(put(box, "span", null, "tail"), "bdi", told.slice(told.length - end));
}
function tiles() {
  const pool = one("pool"), now = live[live.length - 1], b = since(RATE_S), c = since(FAILED_S), dt = now.at - b.at;
  const calls = now.calls - c.calls, failed = now.failures - c.failures, loaded = now.overloads - c.overloads;
  let out = 0, all = 0;
  for (const e of rows("endpoints").values()) { all += 1; out += e.limit === 0; }
  const found = [
    ["slots in use", now.used, "of " + now.force], ["waiting", number(now.waiting), pool.timed_out ? number(pool.timed_out) + " gave up" : ""],
    ["leases a second", dt > 0 ? number((now.acquired - b.acquired) / dt) : "\u2013", ""], ["leases", number(pool.acquired), ""],
    ["endpoints out", String(out), "of " + all, out > 0],
    ["failures, 1 min", calls ? percent(failed / calls) : "\u2013", number(pool.failures) + " in all", failed / calls > 0.05],
    ["overloads, 1 min", calls ? percent(loaded / calls) : "\u2013", number(pool.overloads) + " in all"],
    ["wait p50", span(pool.wait_p50_s), "p99 " + span(pool.wait_p99_s)], ["retries", number(pool.retries), number(pool.hedges) + " hedges"],
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
const health = (cell, e) => {
  if (!cell.firstChild) { put(cell, "span", "", "mark"); put(cell, "span"); }
  cell.firstChild.className = "mark " + stand(e)[0]; say(cell.lastChild, e.word + back(e));
};
const part = (n, all) => n ? percent(n) : all ? "0" : "\u2013";
function listed() { // the endpoints that the filter leaves, in order
  const found = [...rows("endpoints")].map(([row, e], place) => ({ row, place, ...e, ...of(row, e), word: stand(e)[1] }));
  for (const e of found) e.worst = worst(e);
  const troubled = found.filter(e => e.worst), wanted = $("filter").value.trim().toLowerCase();
  let left = $("troubled").checked ? troubled : found;
  if (wanted) left = left.filter(e => e.name.toLowerCase().includes(wanted) || e.word.includes(wanted));
  const value = e => by === "name" ? null : e[by] ?? -1, way = up ? -1 : 1;
  left.sort((a, b) => (by === "name" ? a.name.localeCompare(b.name, "en", { numeric: true }) : value(b) - value(a)) * way || a.place - b.place);
  say($("troubles"), `(${troubled.length})`);
  say($("counted"), left.length === found.length ? "" : `${left.length} of ${found.length}`);
  return left;
}
function endpoints(left) {
  const buttons = one("page").buttons, shown = all_rows ? left : left.slice(0, MOST), points = shown_past();
  document.querySelector("#endpoints .act").hidden = !buttons; $("key").hidden = !buttons;
  $("rest").hidden = left.length <= MOST; say($("rest").firstChild, all_rows ? `show the first ${MOST}` : `show all ${left.length}`);
  lines("endpoints", shown.map(e => [e.row, [
    ["", "name", cell => {
      if (!cell.firstChild) { const b = put(cell, "button", null, "open"); put(b, "span", null, "title"); put(cell, "div", null, "narrow"); b.addEventListener("click", () => pull(e.row)); }
      name_in(cell.firstChild.firstChild, e.name); health(cell.lastChild, e);
    }],
    ["", "wide", cell => health(cell, e)],
    ["", "slots", cell => { if (!cell.firstChild) { put(put(cell, "span", "", "used"), "i"); put(cell, "span"); } cell.firstChild.firstChild.style.width = 100 * Math.min(1, e.in_flight / Math.max(1, e.limit || e.capacity)) + "%"; say(cell.lastChild, `${e.in_flight} of ${e.limit}${e.limit === e.capacity ? "" : " (" + e.capacity + ")"}`); }],
    [number(e.rate), "n"], ["", "spark", cell => spark(cell, e.row, points)], [e.hold == null ? "\u2013" : span(e.hold), "n wide"],
    [part(e.failed, e.failed != null), e.failed > 0.05 ? "n hot" : "n"], [part(e.loaded, e.loaded != null), "n"], [number(e.leases), "n more"], [number(e.ejections), "n more"],
    ...(buttons ? [["", "act", cell => act(cell, e.state === "active" ? "drain" : "restore", e)]] : []),
  ]]));
  return shown;
}
function act(cell, what, e) {
  const b = cell.firstChild ?? put(cell, "button");
  say(b, what); b.disabled = !token || e.state === "retiring"; b.onclick = () => press(what, { endpoint: e.row });
}
async function press(what, body) {
  const answer = await fetch(what, { method: "POST", headers: { "Authorization": "Bearer " + token, "Content-Type": "application/json" }, body: JSON.stringify(body) }).catch(() => null);
  say($("said"), answer?.ok ? "" : `${what}: ${(await answer?.json().catch(() => null))?.error ?? "no answer"}`);
}
$("token").addEventListener("input", event => { token = event.target.value.trim(); show(); });
$("key").addEventListener("submit", event => event.preventDefault());
for (const id of ["filter", "troubled"]) $(id).addEventListener("input", () => { drawn = -1; show(); });
$("rest").firstChild.addEventListener("click", () => { all_rows = !all_rows; drawn = -1; show(); });
const heads = [...document.querySelectorAll("th[data-by]")];
function ordered() {
  for (const head of heads) head.setAttribute("aria-sort", by !== head.dataset.by ? "none" : (by === "name") === up ? "descending" : "ascending");
}
for (const head of heads) head.addEventListener("click", () => {
  [by, up] = by !== head.dataset.by ? [head.dataset.by, false] : up ? ["worst", false] : [by, true];
  ordered(); drawn = -1; show();
});
ordered();
for (const button of document.querySelectorAll("#ranges button")) button.addEventListener("click", () => {
  range = Number(button.dataset.s); drawn = -1;
  for (const each of document.querySelectorAll("#ranges button")) each.classList.toggle("on", each === button);
  show();
});

// -- the drawer --------------------------------------------------------------------------------------
let timer = 0;
function pull(row) {
  open = row; told_of = null; $("drawer").hidden = false; $("drawer").focus(); ask(); drawer();
}
function shut() { open = null; clearTimeout(timer); $("drawer").hidden = true; }
async function ask() { // only while it is open: how long leases are held, and the last errors
  clearTimeout(timer);
  const row = open;
  if (row == null) return;
  const answer = document.hidden ? null : await fetch("endpoint?id=" + encodeURIComponent(row)).catch(() => null), told = answer?.ok ? await answer.json().catch(() => null) : null;
  if (open !== row) return;
  if (told) { told_of = told; drawer(); }
  timer = setTimeout(ask, DRAWER_MS);
}
$("shut").addEventListener("click", shut);
addEventListener("keydown", event => { if (event.key === "Escape") shut(); });
function drawer() {
  if (open == null || !live.length) return;
  const raw = rows("endpoints").get(open);
  if (!raw) { shut(); return; }
  const e = { row: open, ...raw, ...of(open, raw), word: stand(raw)[1] }, held = told_of?.held, points = shown_past();
  say($("who"), e.name); health($("how"), e);
  $("acts").hidden = !one("page").buttons;
  act($("acts"), e.state === "active" ? "drain" : "restore", e);
  const facts = [
    ["slots in use", `${e.in_flight} of ${e.limit}` + (e.limit === e.capacity ? "" : ` (${e.capacity} configured)`)], ["leases", `${number(e.leases)}, ${number(e.rate)} a second`],
    ["held p50, p99", held?.ended ? `${span(held.p50_s)}, ${span(held.p99_s)}` : "\u2013"],
    ["timed", held ? `${number(held.ended)} lease${held.ended === 1 ? "" : "s"} that ended in the last ${span(Math.max(1, at - held.since_s))}` : "\u2013"],
    ["failures", `${number(e.failures)}, ${part(e.failed, e.failed != null)} in 1 min`], ["overloads", `${number(e.overloads)}, ${part(e.loaded, e.loaded != null)} in 1 min`],
    ["ejected", `${number(e.ejections)} times`], ["out of service", (e.out_s ? span(e.out_s) + " in all" : "never") + (e.why_out ? "; now: " + e.why_out : "")], ["would be ejected", e.spared ? e.spared + "; but no more may be (max_ejected_share)" : "no"], ["weight", String(e.weight)],
  ];
  const list = $("facts");
  if (list.children.length !== facts.length) { list.textContent = ""; for (const _ of facts) { const box = put(list, "div"); put(box, "dt"); put(box, "dd"); } }
  facts.forEach(([name, value], n) => { say(list.children[n].children[0], name); say(list.children[n].children[1], value); });
  chart("own", points, [["one", slope(points, p => p.ends[open]?.[2])]], number);
  lines("kinds", (told_of?.kinds ?? []).map(k => [k.outcome + k.kind, [[k.kind || "no reason known"], [k.outcome], [String(k.times), "n"]]]));
  const errors = told_of?.errors ?? [], errs = $("errors");
  while (errs.children.length > Math.max(1, errors.length)) errs.lastChild.remove();
  if (!errors.length) { if (!errs.children.length) put(errs, "li"); errs.firstChild.className = "empty"; say(errs.firstChild, told_of ? "None is known." : "\u2026"); return; }
  errors.forEach((x, n) => {
    const li = errs.children[n] ?? put(errs, "li");
    if (li.children.length !== 2) { li.className = ""; li.textContent = ""; put(li, "time"); put(li, "span"); }
    say(li.children[0], gone(at - x.at_s)); say(li.children[1], `${x.outcome}${x.said ? ": " + x.said : ""}`);
  });
}
function others() {
  lines("holders", [...rows("holders")].map(([row, h]) => [row, [[row, "text"], [number(h.leases), "n"], [number(h.slots), "n"],
    [(h.on ?? []).map(([name, n]) => apart(name).replaceAll("\u2026", "") + (n > 1 ? ` (${n})` : "")).join(", ") + (h.places > 3 ? `, ${h.places - 3} more` : ""), "text"],
    [h.since_s == null ? "\u2013" : span(at - h.since_s), "n"], [number(h.waiting ?? 0), "n"], [h.waits_since_s == null ? "\u2013" : span(Math.max(0, at - h.waits_since_s)), "n"]]]));
  const news = [...rows("news")].reverse(), list = $("news"), state = JSON.stringify(news);
  if (list.dataset.state !== state || !list.children.length) {
    list.dataset.state = state; list.textContent = "";
    if (!news.length) put(list, "li", "Nothing yet: no endpoint was ejected, drained or restored.", "empty");
    for (const [, each] of news) { const li = put(list, "li"); put(li, "time"); put(li, "span", (each.endpoint ? short(each.endpoint) + ": " : "") + each.said); li.dataset.at = each.at_s; }
  }
  for (const li of list.children) if (li.dataset.at) say(li.firstChild, gone(at - li.dataset.at));
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
  if (!live.length) return;
  const pool = one("pool"), name = one("page").name || "balancer", left = listed(), points = shown_past();
  const out = left.filter(e => stand(e)[0] === "bad").length;
  say($("name"), name); document.title = (out ? `(${out} out) ` : "") + (name === "balancer" ? name : name + " \u00b7 balancer");
  say($("strategy"), `${pool.strategy} \u00b7 ${rows("endpoints").size} endpoints`);
  tiles(); run();
  chart("rate", points, [["one", slope(points, p => p.acquired)], ["two", slope(points, p => p.failures)], ["four", slope(points, p => p.overloads)]], number);
  chart("slots", points, [["three", points.map(p => p.force)], ["one", points.map(p => p.used)], ["four", points.map(p => p.waiting)]], number);
  const timed = points.filter(p => p.p50 != null); // all but the first that a page sees
  chart("wait", timed, [["four", timed.map(p => p.p99)], ["one", timed.map(p => p.p50)]], s => s ? span(s) : "0");
  compare(); line(endpoints(left)); others(); drawer();
}
addEventListener("resize", () => requestAnimationFrame(show));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);

const source = new EventSource("events");
source.onmessage = event => {
  const told = JSON.parse(event.data);
  apply(told.tables, told.all);
  if (told.all && told.at_s < at) { past.length = 0; live.length = 0; } // another process answers
  at = told.at_s; remember(told.all);
  say($("link"), "live"); $("link").className = "";
  if (!document.hidden) requestAnimationFrame(show);
  if (told.all) fetch("history").then(answer => answer.ok ? answer.json() : null).then(kept => { if (kept) { recall(kept); drawn = -1; show(); } }).catch(() => null);
};
source.onerror = () => { say($("link"), "not connected; what is shown is old"); $("link").className = "off"; };
document.addEventListener("visibilitychange", () => { show(); if (open != null) ask(); });
