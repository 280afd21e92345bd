// The live page: calls as they happen, over the websocket of `callvault serve` or of an API Gateway.
//
// Owns what the page knows and shows. Everything a server says is a text to show: it goes in by textContent, never as markup.
// The token is kept in this tab (sessionStorage) and goes into the websocket's address only, never into a message to anybody.
// Parts: words and pure rules (exported, for the tests) · what is known · the wire · the list · one call · the door · start.

// ---------------------------------------------------------------------------------------------------- words and pure rules

/** The states of a call, in the order a call goes through them. Anything else a server says is shown as it is, under OTHER. */
export const STATES = ["NEW", "STANDBY", "WAITING", "ONGOING", "FINISHED"];
const STATE_WORDS = {NEW: "New", STANDBY: "Standby", WAITING: "Waiting", ONGOING: "Ongoing", FINISHED: "Finished", OTHER: "Other"};
/** What an event is called, and the state a call is in after it, if it says one. */
const EVENT_WORDS = {
  "call.new": ["Call began", "NEW"], "call.standby": ["Put on standby", "STANDBY"], "call.waiting": ["Waits in the queue", "WAITING"],
  "call.ongoing": ["Conversation began", "ONGOING"], "call.finished": ["Call ended", "FINISHED"],
  "call.overflow": ["Went over to another queue"], "call.follow-me": ["Followed to another number"],
  "call.recording-available": ["Recording available"], "call.queue-abandon": ["Caller gave up waiting"],
  "call.data-provided": ["Caller gave data"], "actor.entered": ["Agent joined"], "actor.left": ["Agent left"],
  "actor.ringing": ["Agent’s telephone rings"], "actor.noanswer": ["Agent did not answer"], "actor.logged-in": ["Agent logged in"],
  "actor.logged-out": ["Agent logged out"], "actor.paused": ["Agent paused"], "actor.unpaused": ["Agent is back"],
  "peer.ringing": ["Telephone rings"], "dialer.attempt": ["Dialer tries"], "dialer.success": ["Dialer reached somebody"],
  "dialer.failure": ["Dialer reached nobody"], "dialer.expired": ["Dialer stopped: too late"], "dialer.exceeded": ["Dialer stopped: too many tries"],
};
/** A page of a list: about 80 kB, below the 128 kB an API Gateway lets one message have. */
const PAGE = 400;
/** Calls kept; the oldest finished ones go first. About 40 MB. */
const MOST_CALLS = 50_000;
/** No number of a call is as great: before it are the newest ones. */
const NEWEST = 2 ** 53;
/** Before looking again into a call that is only on screen, so that a hundred open pages of a busy day do not become a load. */
const LOOK_AGAIN_MS = 150;
const ANSWER_WITHIN_MS = 15_000;
/** Silence after which the page asks whether anybody is there; an API Gateway hangs up after ten minutes of it. */
const ASK_AFTER_MS = 30_000;
/** A connection that lasted this long was a good one: the next loss starts again from the shortest pause. */
const GOOD_AFTER_MS = 10_000;

/** Milliseconds before the attempt after `failures` ones in a row: doubling from half a second up to 30 s, each somewhere in its upper half. */
export function backOff(failures, chance = Math.random()) {
  const most = Math.min(30_000, 500 * 2 ** Math.min(failures, 10));
  return Math.round(most / 2 + chance * most / 2);
}

/** A call from a row of the server, or null if the row is none. */
export function call(row) {
  if (row === null || typeof row !== "object" || typeof row.aggregate_id !== "string" || row.aggregate_id === "") return null;
  const state = text(row.state);
  const createdAt = text(row.created_at), updatedAt = text(row.updated_at) || createdAt;
  return {
    id: row.aggregate_id, number: Number(row.id) || 0, state, group: STATES.includes(state) ? state : "OTHER",
    createdAt, updatedAt, created: moment(createdAt), updated: moment(updatedAt),
  };
}

/** Whether `fresh` replaces `known`. What comes over a new connection (`round`) always does. Over the same one, what is older does not:
 *  pages of a list and changes overtake each other. Times have whole seconds, so of two as old a change replaces what came before it,
 *  and a row of a list only what was known before it was asked for (`turn` counts both), and never with an earlier state: a list may be
 *  read from a copy that is behind. */
export function replaces(known, fresh) {
  if (known === undefined || fresh.round !== known.round) return true;
  if (fresh.updated !== known.updated) return !(fresh.updated < known.updated);
  return fresh.live || fresh.turn >= known.turn && STATES.indexOf(fresh.state) >= STATES.indexOf(known.state);
}

/** How the list is sorted: a comparison for each choice. Calls as old keep an order of their own, so that rows never swap by themselves. */
export const ORDERS = {
  newest: (a, b) => b.created - a.created || b.number - a.number || (a.id < b.id ? 1 : -1),
  oldest: (a, b) => ORDERS.newest(b, a),
  changed: (a, b) => b.updated - a.updated || ORDERS.newest(a, b),
};

/** What is searched for, ready for `matches`: words that must all be there, or a number however it is written. */
export function wanted(query) {
  const plain = query.trim().toLowerCase();
  const number = /^[\d\s()+./-]+$/.test(plain) ? plain.replace(/\D/g, "") : "";
  return {words: plain.split(/\s+/).filter(Boolean), number: number.length > 2 ? number : ""};
}

export function matches(found, about, query) {
  if (query.words.length === 0) return true;
  const where = `${found.id} ${about ? about.where : ""}`.toLowerCase();
  return query.words.every(word => where.includes(word)) || query.number !== "" && about !== undefined && about.digits.includes(query.number);
}

/** What a call's events say of it: numbers, direction, queue, and agents, those in the call now first. */
export function summary(rows) {
  const said = {direction: "", theirs: "", ours: "", queue: "", ended: NaN};
  const inside = new Set(), before = new Set();
  for (const {event, at} of inOrder(rows)) {
    said.direction = text(event.direction) || said.direction;
    said.theirs = text(event.their_number) || said.theirs;
    said.ours = text(event.our_number) || said.ours;
    said.queue = text(event.queue) || said.queue;
    const actor = text(event.actor);
    if (event.type === "actor.entered" && actor) { inside.add(actor); before.delete(actor); }
    if (event.type === "actor.left" && actor) { inside.delete(actor); before.add(actor); }
    if (event.type === "call.finished") { said.ended = at; inside.forEach(one => before.add(one)); inside.clear(); }
  }
  const agents = [...inside, ...before];
  const digits = [said.theirs, said.ours].map(number => number.replace(/\D/g, "")).join(" ");
  return {...said, agents, now: inside.size, where: [said.theirs, said.ours, said.queue, ...agents].join(" "), digits};
}

/** Events by their own time, those of one time as they came. */
export function inOrder(rows) {
  return rows.filter(row => row && typeof row === "object" && row.event && typeof row.event === "object")
    .map((row, place) => ({id: Number(row.id) || 0, uuid: text(row.uuid), event: row.event, unknown: row.type === "unknown",
      at: moment(text(row.event.timestamp)), place}))
    .sort((a, b) => (Number.isNaN(a.at) || Number.isNaN(b.at) ? 0 : a.at - b.at) || a.place - b.place);
}

/** A length of time as on a clock: 0:07, 12:40, 1:02:09, and from two days on in days. */
export function length(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (!Number.isFinite(seconds)) return "";
  if (seconds >= 172_800) return `${Math.floor(seconds / 86_400)} days`;
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60].map(String);
  return h === "0" ? `${m}:${s.padStart(2, "0")}` : `${h}:${m.padStart(2, "0")}:${s.padStart(2, "0")}`;
}

/** The websocket's address without its token: from config.json where there is one, else beside the page. Throws words for a bad one. */
export function endpoint(config, page) {
  const own = new URL("ws", page);
  own.protocol = own.protocol === "https:" ? "wss:" : "ws:";
  own.search = own.hash = "";
  if (!config || config.websocket === undefined) return own;
  let named;
  try { named = new URL(config.websocket); } catch { named = null; }
  if (!named || !(named.protocol === "wss:" || named.protocol === "ws:" && own.protocol === "ws:") || named.username || named.password) {
    throw new Error("config.json names no websocket this page may use: it must be an address that begins with wss://");
  }
  return named;
}

function text(value) {
  return typeof value === "string" ? value.slice(0, 500) : typeof value === "number" ? String(value) : "";
}

function moment(iso) {
  return iso === "" ? NaN : Date.parse(iso);
}

// ---------------------------------------------------------------------------------------------------------- small helpers

const $ = id => document.getElementById(id);
const TIME = new Intl.DateTimeFormat(undefined, {timeStyle: "medium"});
const DAY_AND_TIME = new Intl.DateTimeFormat(undefined, {day: "numeric", month: "short", hour: "2-digit", minute: "2-digit"});
const EXACT = new Intl.DateTimeFormat(undefined, {dateStyle: "medium", timeStyle: "medium"});
const COUNT = new Intl.NumberFormat();
/** As in live.css: one call lies over the list there, and going back in the browser goes back to it. */
const NARROW = matchMedia("(max-width: 56rem)");
const SHORT = new Intl.NumberFormat(undefined, {notation: "compact"});

/** Sets a text only where it changed: a selection in it stays, and the browser has nothing to lay out. */
function say(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

function show(element, is) {
  if (element.hidden === is) element.hidden = !is;
}

function make(name, className, words) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (words !== undefined) element.textContent = words;
  return element;
}

/** A time in the viewer's zone: of today the time alone, of another day to the minute or `exact`; as it was sent in the title. */
function time(element, at, iso, exact = false) {
  const known = !Number.isNaN(at);
  const today = known && new Date(at).toDateString() === new Date().toDateString();
  say(element, known ? (today ? TIME : exact ? EXACT : DAY_AND_TIME).format(at) : iso || "unknown");
  if (element.title !== iso) element.title = iso;
  if (known && element.dateTime !== iso) element.dateTime = iso;
}

let speech = 0;
/** Says something to who cannot see it change, after a pause in which it may be replaced. */
function speak(words, afterMs = 0) {
  clearTimeout(speech);
  speech = setTimeout(() => say($("spoken"), words), afterMs);
}

function many(number, one, more) {
  return `${COUNT.format(number)} ${number === 1 ? one : more}`;
}

// ------------------------------------------------------------------------------------------------------------- what is known

const TOKEN = "callvault.calls.token";
const calls = new Map();
/** What the events of a call say, for those that were looked into: id -> {of: call, about}. */
const abouts = new Map();
let order = [], stale = false, round = 0, turn = 0, leftOut = false;

function take(row, live, asked = ++turn) {
  const fresh = call(row);
  if (fresh === null) return null;
  Object.assign(fresh, {round, turn: asked, live});
  const known = calls.get(fresh.id);
  if (!replaces(known, fresh)) return null;
  fresh.changed = live && (!known || known.state !== fresh.state) ? performance.now() : 0;
  calls.set(fresh.id, fresh);
  stale = true;
  return fresh;
}

/** After a whole list of a new connection: what was not in it is there no more. */
function forgetOthers() {
  for (const [id, one] of calls) if (one.round < round) { calls.delete(id); abouts.delete(id); stale = true; }
}

function inOrderNow() {
  if (!stale) return order;
  order = [...calls.values()].sort(ORDERS[view.sort]);
  if (calls.size > MOST_CALLS) {
    const old = [...calls.values()].filter(one => one.group === "FINISHED").sort(ORDERS.oldest).slice(0, calls.size - MOST_CALLS);
    for (const {id} of old) { calls.delete(id); abouts.delete(id); }
    leftOut = true;
    order = order.filter(one => calls.has(one.id));
  }
  stale = false;
  return order;
}

function forgetAll() {
  calls.clear(); abouts.clear();
  order = []; stale = false; leftOut = false;
  Object.assign(view, {query: "", state: "ALL", active: null, selected: null, held: false});
}

/** The token: in this tab, and in memory where the browser keeps nothing. */
const token = {
  value: "",
  read() { try { this.value ||= sessionStorage.getItem(TOKEN) || ""; } catch { /* as it is */ } return this.value; },
  keep(value) { this.value = value; try { sessionStorage.setItem(TOKEN, value); } catch { /* in memory then */ } },
  forget() { this.value = ""; try { sessionStorage.removeItem(TOKEN); } catch { /* nothing was kept */ } },
};

// ------------------------------------------------------------------------------------------------------------------ the wire

/** The connection: one socket, one question at a time (an answer does not say whose it is), and what to do when it is gone. */
const wire = {
  socket: null, config: undefined, waiting: [], asked: null, failures: 0, openedAt: 0, heardAt: 0, lostAt: 0, retryAt: 0, timer: 0, state: "off", loading: false,

  async connect() {
    clearTimeout(this.timer);
    this.drop();
    this.become("connecting");
    const mine = this.attempt = {};
    let address;
    try {
      if (this.config === undefined) this.config = await readConfig();
      address = endpoint(this.config, location.href);
    } catch (fault) {
      if (this.attempt === mine) this.lost(fault.message);
      return;
    }
    if (this.attempt !== mine) return;
    const own = address.host === location.host;
    // Not by searchParams, which writes a space as `+`.
    address.search += `${address.search ? "&" : "?"}token=${encodeURIComponent(token.value)}`;
    const socket = this.socket = new WebSocket(address);
    let opened = false;
    socket.addEventListener("open", () => { opened = true; this.open(socket); });
    socket.addEventListener("message", message => { if (socket === this.socket) this.hear(message.data); });
    socket.addEventListener("close", async () => {
      if (socket !== this.socket) return;
      this.drop();
      if (opened) return this.lost("The connection was lost.");
      // A browser does not say why a socket did not open. On the page's own server the same address, asked plainly, does.
      const why = own ? await refusal(address) : "elsewhere";
      if (this.attempt !== mine) return;
      if (why === "token") return refuse("The server refused this token. Check it with whoever runs the server, and try again.");
      if (why === "off") return this.lost("This server takes no calls: its setting CALLS_TOKEN is missing.");
      if (why === "elsewhere" && this.typed && !this.everOpen) {
        return refuse("The connection was refused: the token is wrong, or the server cannot be reached. A browser does not say which.");
      }
      this.lost({
        unreachable: "The server cannot be reached.",
        open: "The connection could not be made: the server is full, or a proxy in between does not pass on websockets and the header Host.",
        elsewhere: this.everOpen ? "The server cannot be reached." : "The connection could not be made: the server cannot be reached, or the token is wrong.",
      }[why] || "The connection could not be made.");
    });
  },

  async open(socket) {
    this.openedAt = this.heardAt = performance.now();
    this.everOpen = true;
    this.become("listing");
    round += 1;
    try {
      // First what goes on now: a supervisor should not wait for yesterday's, of which there may be years.
      for (const state of ["ONGOING", "WAITING", "STANDBY", "NEW"]) await list({state, after: 0}, socket);
      if (socket !== this.socket) return;
      this.loading = true;
      this.become("live");
      if (view.selected) openEvents();
      await list({before: NEWEST}, socket);
    } catch (fault) {
      if (socket === this.socket) { this.drop(); this.lost(`The list did not come: ${fault.message}.`); }
      return;
    }
    if (socket !== this.socket) return;
    this.loading = false;
    forgetOthers();
    render();
    speak(`${many(calls.size, "call", "calls")}.`);
  },

  /** Asks, after whatever was asked before, or before it if somebody waits at the screen; answers the `data`. */
  ask(event, data, first = false) {
    return new Promise((resolve, reject) => {
      this.waiting[first ? "unshift" : "push"]({event, data, resolve, reject});
      this.next();
    });
  },

  next() {
    if (this.asked || this.waiting.length === 0 || this.socket === null || this.socket.readyState !== WebSocket.OPEN) return;
    const asked = this.asked = this.waiting.shift();
    asked.turn = ++turn;
    asked.timer = setTimeout(() => {
      if (this.asked !== asked || this.socket === null) return;
      this.drop();
      this.lost("The server does not answer.");
    }, ANSWER_WITHIN_MS);
    this.socket.send(JSON.stringify({event: asked.event, data: asked.data}));
  },

  answer(settle) {
    const asked = this.asked;
    if (asked === null) return;
    clearTimeout(asked.timer);
    this.asked = null;
    settle(asked);
    this.next();
  },

  hear(message) {
    this.heardAt = performance.now();
    let said;
    try { said = JSON.parse(message); } catch { return; }
    if (said === null || typeof said !== "object") return;
    if (said.event === "DataChanged" && said.status === "Ok") return changed(said.data);
    if (said.event === "Welcome") return;
    if (this.asked && said.event === this.asked.event && said.status === "Ok" && Array.isArray(said.data)) {
      return this.answer(asked => asked.resolve({rows: said.data, turn: asked.turn, next: said.next}));
    }
    // An answer of the handler says `error`, one of the gateway before it `message`.
    const fault = text(said.data && said.data.error) || text(said.message);
    if (said.status === "Failed" || fault) this.answer(asked => asked.reject(new Error(`the server says “${fault || "failed"}”`)));
  },

  /** Lets go of the socket and of what was asked over it. */
  drop() {
    const socket = this.socket, questions = [this.asked, ...this.waiting].filter(Boolean);
    this.socket = this.asked = null;
    this.loading = false;
    this.waiting = [];
    if (socket) socket.close();
    for (const question of questions) { clearTimeout(question.timer); question.reject(new Error("the connection was lost")); }
  },

  lost(words) {
    this.failures = this.openedAt && performance.now() - this.openedAt > GOOD_AFTER_MS ? 0 : this.failures;
    if (this.openedAt) this.lostAt = Date.now();
    this.openedAt = 0;
    const pause = backOff(this.failures);
    this.failures += 1;
    this.retryAt = performance.now() + pause;
    this.words = words;
    this.timer = setTimeout(() => this.connect(), pause);
    this.become("lost");
  },

  become(state) {
    const was = this.state;
    this.state = state;
    if (state === "live") speak("Connected.");
    if (state === "lost" && was !== "lost" && this.failures === 1) speak(`${this.words} The page tries again by itself.`);
    connection();
    draw();
  },

  stop() {
    clearTimeout(this.timer);
    this.attempt = {};
    this.drop();
    Object.assign(this, {state: "off", failures: 0, openedAt: 0, lostAt: 0, everOpen: false});
  },

  /** Every second: is anybody there? Half-open connections say nothing by themselves. */
  check() {
    if (this.state !== "live" || this.asked || performance.now() - this.heardAt < ASK_AFTER_MS) return;
    this.ask("ListCalls", {params: {limit: 1}}).catch(() => {});
  },
};

async function readConfig() {
  let answer;
  try { answer = await fetch("config.json", {cache: "no-store", credentials: "omit", redirect: "error"}); } catch { throw new Error("The server cannot be reached."); }
  // A store of static files says 403 for what it has not.
  if (answer.status === 404 || answer.status === 403) return null;
  if (!answer.ok) throw new Error("The server cannot be reached.");
  try { return await answer.json(); } catch { throw new Error("config.json is no JSON."); }
}

/** Why the page's own server did not open the socket: "token", "off" (no such part), "open" (it would, so
 *  it has no place, or what came to it was no websocket), "unreachable" or "unknown". */
async function refusal(address) {
  const plain = new URL(address);
  plain.protocol = plain.protocol === "wss:" ? "https:" : "http:";
  try {
    const {status} = await fetch(plain, {cache: "no-store", credentials: "omit", redirect: "error"});
    return {401: "token", 404: "off", 426: "open"}[status] || "unknown";
  } catch { return "unreachable"; }
}

/** The calls of a list, page by page, up to as many as are kept. `from` says which: {before} a number, the newest first, or {after}
 *  one. Ends with a page that brings nothing new: a server may give shorter pages than asked for, and one that knows no pages gives
 *  everything every time. */
async function list(from, socket) {
  const params = {...from, limit: PAGE}, way = "before" in from ? "before" : "after";
  for (const seen = new Set(); socket === wire.socket;) {
    const {rows, turn: asked} = await wire.ask("ListCalls", {params: {...params}});
    const fresh = rows.filter(row => row && !seen.has(row.aggregate_id));
    if (fresh.length === 0) return;
    for (const row of fresh) { seen.add(row.aggregate_id); take(row, false, asked); }
    params[way] = rows[rows.length - 1].id;
    render();
    if (seen.size >= MOST_CALLS) { leftOut = true; return; }
  }
}

function changed(row) {
  const fresh = take(row, true);
  if (view.selected && row && row.aggregate_id === view.selected) openEvents();
  if (fresh === null) return;
  if (view.held) view.missed += 1;
  render();
}

/** Looks into the calls on screen, one after another and not too fast: their rows do not say whose they are. */
let looking = false;
async function look() {
  if (looking) return;
  looking = true;
  while (wire.state === "live" && !document.hidden) {
    const next = table.onScreen().find(one => unknown(one));
    if (!next) break;
    if (abouts.has(next.id)) await new Promise(done => setTimeout(done, LOOK_AGAIN_MS));
    await into(calls.get(next.id) || next);
  }
  looking = false;
}

/** Whether a call was never looked into, or something came since: also a change that leaves its row as it was is an event. */
function unknown(one) {
  return abouts.get(one.id)?.turn !== one.turn;
}

/** Reads the events of a call; answers them, or null where that failed (it is not asked again before it changes). */
async function into(one, first = false) {
  const {id, turn: of} = one, all = [];
  try {
    const data = {call_id: id};
    do {
      const {rows, next} = await wire.ask("ListCallEvents", data, first);
      all.push(...rows);
      data.params = rows.length > 0 && next ? {after: next} : null;
    } while (data.params);
  } catch (fault) {
    if (wire.state === "live") abouts.set(id, {turn: of, about: abouts.get(id)?.about});
    if (first) throw fault;
    return null;
  }
  abouts.set(id, {turn: of, about: summary(all)});
  render();
  return all;
}

// ------------------------------------------------------------------------------------------------------------------ the list

const view = {state: "ALL", query: "", sort: "newest", active: null, selected: null, held: false, missed: 0, shown: []};

const table = {
  elements: new Map(), rowHeight: 44, top: 0,

  /** The calls between the upper and the lower edge. */
  onScreen() {
    const box = $("scroller");
    const first = Math.floor(box.scrollTop / this.rowHeight);
    return view.shown.slice(first, first + Math.ceil(box.clientHeight / this.rowHeight) + 1);
  },

  /** Draws the rows in view, some above and below, and the one that has or had the focus, wherever it is. */
  draw() {
    const box = $("scroller"), rows = $("rows"), {shown} = view;
    const height = `${shown.length * this.rowHeight}px`;
    if (rows.style.height !== height) rows.style.height = height;
    const first = Math.max(0, Math.floor(box.scrollTop / this.rowHeight) - 6);
    const last = Math.min(shown.length, first + Math.ceil(box.clientHeight / this.rowHeight) + 12);
    let active = shown.findIndex(one => one.id === view.active);
    if (active < 0) { active = shown.length ? 0 : -1; }
    const indexes = new Set();
    if (active >= 0 && active < first) indexes.add(active);
    for (let index = first; index < last; index += 1) indexes.add(index);
    if (active >= last) indexes.add(active);

    const kept = new Set([...indexes].map(index => shown[index].id));
    const focused = document.activeElement;
    for (const [id, row] of this.elements) {
      if (kept.has(id)) continue;
      // Focus does not fall out of the list with a row that was filtered away.
      if (row.element === focused) queueMicrotask(() => this.focusActive());
      row.element.remove();
      this.elements.delete(id);
    }
    // In the order they are read in; the row with the focus is never moved, which would take the focus away.
    const elements = [...indexes].map(index => this.fill(index, shown[index], index === active));
    const pivot = Math.max(0, elements.indexOf(focused));
    if (elements.length && elements[pivot].parentNode !== rows) rows.append(elements[pivot]);
    for (let at = pivot - 1; at >= 0; at -= 1) if (elements[at].nextSibling !== elements[at + 1] || elements[at].parentNode !== rows) elements[at + 1].before(elements[at]);
    for (let at = pivot + 1; at < elements.length; at += 1) if (elements[at - 1].nextSibling !== elements[at]) elements[at - 1].after(elements[at]);
    $("grid").setAttribute("aria-rowcount", String(shown.length + 1));
  },

  fill(index, one, active) {
    let row = this.elements.get(one.id);
    if (!row) {
      row = newRow(one.id);
      this.elements.set(one.id, row);
    }
    const {element, cells} = row, about = abouts.get(one.id)?.about;
    const top = `translateY(${index * this.rowHeight}px)`;
    if (element.style.transform !== top) element.style.transform = top;
    set(element, "aria-rowindex", String(index + 2));
    set(element, "aria-selected", String(one.id === view.selected));
    if (element.tabIndex !== (active ? 0 : -1)) element.tabIndex = active ? 0 : -1;
    if (row.of !== one) {
      set(element, "data-state", one.group);
      say(cells.pill, STATE_WORDS[one.group] === "Other" ? one.state || "unknown" : STATE_WORDS[one.group]);
      if (row.of === undefined ? performance.now() - one.changed < 1000 : row.of.state !== one.state) flash(element);
      row.of = one;
    }
    time(cells.since, one.created, one.createdAt);
    time(cells.updated, one.updated, one.updatedAt);
    say(cells.lasts, lasts(one));
    if (row.about !== about) {
      row.about = about;
      direction(cells.way, about ? about.direction : "");
      say(cells.theirs, about ? about.theirs || about.ours || one.id : "");
      cells.number.title = about ? [about.direction, about.theirs && `their number ${about.theirs}`, about.ours && `our number ${about.ours}`].filter(Boolean).join(", ") : "";
      const agent = about ? about.agents[0] || "" : "";
      // Agents are e-mail addresses, mostly of one company: the title and the call itself have all of it.
      say(cells.agent, agent.replace(/(.)@.*$/, "$1"));
      say(cells.queue, about ? about.queue : "");
      show(cells.queue, !!(about && about.queue));
      cells.with.title = about ? [...about.agents, about.queue && `queue ${about.queue}`].filter(Boolean).join(", ") : "";
    }
    return element;
  },

  measure() {
    const probe = make("div", "row");
    probe.setAttribute("role", "none");
    $("rows").append(probe);
    const height = probe.offsetHeight;
    probe.remove();
    if (height > 0) this.rowHeight = height;
  },

  /** Keeps what is looked at where it is while rows come in above it; at the very top the newest come into view instead. */
  hold(before) {
    const box = $("scroller");
    if (box.scrollTop < this.rowHeight / 2 || before === null) return;
    const now = view.shown.findIndex(one => one.id === before.id);
    if (now >= 0 && now !== before.index) box.scrollTop += (now - before.index) * this.rowHeight;
  },

  anchor() {
    const index = Math.floor($("scroller").scrollTop / this.rowHeight), one = view.shown[index];
    return one ? {id: one.id, index} : null;
  },

  reveal(index) {
    const box = $("scroller"), top = index * this.rowHeight;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + this.rowHeight > box.scrollTop + box.clientHeight) box.scrollTop = top + this.rowHeight - box.clientHeight;
  },

  go(index) {
    if (view.shown.length === 0) return;
    const to = Math.max(0, Math.min(view.shown.length - 1, index));
    view.active = view.shown[to].id;
    this.reveal(to);
    this.draw();
    this.focusActive();
  },

  at() { return Math.max(0, view.shown.findIndex(one => one.id === view.active)); },

  focusActive() {
    const row = $("rows").querySelector('[tabindex="0"]');
    if (row) row.focus({preventScroll: true}); else $("search").focus();
  },
};

function set(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function newRow(id) {
  const element = make("div", "row");
  element.setAttribute("role", "row");
  element.dataset.id = id;
  const cell = (name, ...children) => {
    const one = make("span", name);
    one.setAttribute("role", "gridcell");
    one.append(...children);
    element.append(one);
    return one;
  };
  const cells = {pill: make("span", "pill"), way: make("span", "way"), theirs: make("span", "theirs"), agent: make("span", "agent"),
    queue: make("span", "queue"), since: make("time"), updated: make("time"), lasts: make("span")};
  cell("state", cells.pill);
  cells.number = cell("number", cells.way, cells.theirs);
  cells.with = cell("with", cells.agent, cells.queue);
  cell("id", make("span", "", id)).title = id;
  cell("since", cells.since);
  cell("updated", cells.updated);
  cell("lasts", cells.lasts);
  return {element, cells, of: undefined, about: undefined};
}

/** An arrow for who sees it and a word for who does not. */
function direction(element, way) {
  const [arrow, words] = way === "inbound" ? ["↙", "inbound"] : way === "outbound" ? ["↗", "outbound"] : ["", ""];
  element.replaceChildren();
  if (!arrow) return;
  const sign = make("span", "", arrow);
  sign.setAttribute("aria-hidden", "true");
  element.append(sign, make("span", "unseen", `${words} `));
}

/** How long a call is, or was: what comes after its end, such as a recording, makes it no longer. */
function lasts(one) {
  const ended = abouts.get(one.id)?.about?.ended;
  return length((one.group !== "FINISHED" ? Date.now() : ended || one.updated) - one.created);
}

function flash(element) {
  element.classList.remove("changed");
  // Reading a size makes the browser begin the animation anew.
  void element.offsetWidth;
  element.classList.add("changed");
}

let due = 0, drawnAt = 0, cost = 0;
/** Draws soon: at once after a pause, else a few times a second, and more seldom where drawing takes long. */
function render() {
  if (due) return;
  const pause = Math.max(0, drawnAt + Math.max(150, cost * 6) - performance.now());
  due = setTimeout(() => {
    due = 0;
    const began = performance.now();
    draw();
    drawnAt = performance.now();
    cost = drawnAt - began;
  }, pause);
}

function draw() {
  if ($("app").hidden) return;
  if (!view.held) refilter();
  counts();
  table.draw();
  words();
  if (view.selected) facts();
  look();
}

function refilter() {
  const query = wanted(view.query), all = inOrderNow();
  const before = table.anchor();
  view.shown = all.filter(one => (view.state === "ALL" || one.group === view.state) && matches(one, abouts.get(one.id)?.about, query));
  table.hold(before);
}

function counts() {
  if (view.held) return;
  const count = {ALL: calls.size, OTHER: 0}, oldest = {};
  for (const one of calls.values()) {
    count[one.group] = (count[one.group] || 0) + 1;
    if (one.group !== "FINISHED" && one.created < (oldest[one.group] ?? Infinity)) oldest[one.group] = one.created;
  }
  for (const tile of $("tiles").querySelectorAll(".tile")) {
    const state = tile.dataset.state;
    // Where there is little room, 12,345 is 12K; who asks has the title.
    const exact = COUNT.format(count[state] || 0), place = tile.querySelector("[data-count]");
    say(place, NARROW.matches && count[state] > 9999 ? SHORT.format(count[state]) : exact);
    place.title = exact;
    say(tile.querySelector("[data-oldest]"), oldest[state] === undefined ? "" : `oldest ${length(Date.now() - oldest[state])}`);
    if (state === "OTHER") show(tile, !!count.OTHER || view.state === "OTHER");
  }
  const title = wire.state === "live" ? `${count.WAITING || 0} waiting, ${count.ONGOING || 0} ongoing · Calls` : wire.state === "lost" ? "Disconnected · Calls" : "Calls";
  if (document.title !== title) document.title = title;
}

/** What the page says around the list: how many are shown, why there are none, what a search did not look into. */
function words() {
  const {shown} = view, narrowed = view.query.trim() !== "" || view.state !== "ALL", still = wire.state === "connecting" || wire.state === "listing" || wire.loading;
  say($("shown"), view.held ? `Paused, ${many(view.missed, "change", "changes")} since`
    : still && calls.size ? `Loading, ${COUNT.format(calls.size)} so far`
    : narrowed ? `${COUNT.format(shown.length)} of ${many(calls.size, "call", "calls")}`
    : leftOut ? `the newest ${many(calls.size, "call", "calls")}` : many(calls.size, "call", "calls"));
  show($("empty"), shown.length === 0);
  if (shown.length === 0) {
    const [what, note] = calls.size === 0 && still ? ["Loading calls…", ""]
      : calls.size === 0 && wire.state === "lost" ? ["No calls to show yet", "They appear when the connection is there."]
      : calls.size === 0 ? ["No calls yet", "The first one appears here by itself."]
      : view.query.trim() ? ["No call matches", `“${view.query.trim().slice(0, 60)}”${view.state === "ALL" ? "" : ` among those in state ${STATE_WORDS[view.state]}`}`]
      : [`No call is in state ${STATE_WORDS[view.state]} now`, "When one is, it appears here by itself."];
    say($("empty-words"), what);
    say($("empty-note"), note);
    show($("empty-reset"), calls.size > 0 && narrowed);
  }
  const unread = view.query.trim() ? order.reduce((sum, one) => sum + (abouts.has(one.id) ? 0 : 1), 0) : 0;
  show($("more"), unread > 0 && wire.state === "live");
  if (unread > 0) {
    say($("more-words"), `Numbers, agents and queues of ${many(unread, "call", "calls")} have not been read yet.`);
    say($("more-load"), reading ? "Stop reading" : `Read those of ${unread > 200 ? "200 more" : many(unread, "call", "calls")}`);
  }
}

let reading = false;
/** Reads the events of the newest 200 calls that nobody looked into, so that a search finds their numbers. */
async function readMore() {
  if (reading) { reading = false; return; }
  reading = true;
  for (const one of inOrderNow().filter(other => !abouts.has(other.id)).slice(0, 200)) {
    if (!reading || wire.state !== "live") break;
    await into(one);
  }
  reading = false;
  render();
  speak(`${many(view.shown.length, "call", "calls")} shown.`, 400);
}

function connection() {
  const {state} = wire;
  const said = {connecting: "Connecting", listing: "Loading", live: "Live", lost: navigator.onLine === false ? "Offline" : "Disconnected", off: "Off"}[state];
  set($("link"), "data-link", state);
  say($("link-words"), said);
  show($("banner"), state === "lost" || state === "connecting" && wire.failures > 0);
  if ($("banner").hidden) return;
  const seconds = Math.max(0, Math.ceil((wire.retryAt - performance.now()) / 1000));
  const since = wire.lostAt ? ` What you see is from ${TIME.format(wire.lostAt)}.` : "";
  say($("banner-words"), `${wire.words}${since} ${state === "connecting" ? "Trying again now." : `Trying again in ${seconds} s.`}`);
}

// ------------------------------------------------------------------------------------------------------------------ one call

let eventsRound = 0, eventsAgain = false, eventsBusy = false;

function cover() {
  const covers = NARROW.matches && view.selected !== null;
  for (const element of [document.querySelector("header"), $("banner"), $("tiles"), $("tools"), $("list"), $("more")]) element.inert = covers;
}

function select(id, move) {
  const other = view.selected !== id;
  if (NARROW.matches && history.state?.one === undefined) history.pushState({one: true}, "");
  view.selected = view.active = id;
  document.body.classList.add("one");
  show($("detail-none"), false);
  show($("detail-one"), true);
  say($("detail-title"), id);
  if (other) {
    eventsRound += 1;
    $("events").replaceChildren();
    say($("events-words"), "Loading events…");
    show($("events-words"), true);
    show($("events-retry"), false);
    $("detail").scrollTop = 0;
    openEvents();
  }
  cover();
  draw();
  if (move) $("detail-title").focus({preventScroll: true});
}

/** Closes the call: by way of the browser's history where that is how it was opened. */
function deselect() {
  if (history.state?.one) history.back(); else closed();
}

function closed() {
  view.selected = null;
  cover();
  eventsRound += 1;
  document.body.classList.remove("one");
  show($("detail-none"), true);
  show($("detail-one"), false);
  draw();
  table.reveal(table.at());
  table.draw();
  table.focusActive();
}

/** Asks for the selected call's events; a change that comes while they are on their way asks once more. */
async function openEvents() {
  if (eventsBusy) { eventsAgain = true; return; }
  eventsBusy = true;
  do {
    eventsAgain = false;
    const mine = eventsRound, one = calls.get(view.selected);
    if (!one) break;
    try {
      const rows = await into(one, true);
      if (mine === eventsRound) timeline(rows);
      else eventsAgain = view.selected !== null;
    } catch (fault) {
      if (mine === eventsRound) eventsFailed(fault);
      else eventsAgain = view.selected !== null;
    }
  } while (eventsAgain && wire.socket !== null);
  eventsBusy = false;
}

function eventsFailed(fault) {
  const lost = wire.state !== "live";
  say($("events-words"), lost ? "The events come when the connection is there again." : `The events did not come: ${fault.message}.`);
  show($("events-words"), $("events").childElementCount === 0);
  show($("events-retry"), !lost && $("events").childElementCount === 0);
}

/** What a call's row and events say, at the top of it. */
function facts() {
  const one = calls.get(view.selected), said = [];
  if (!one) { say($("events-words"), "The server does not have this call any more."); show($("events-words"), true); return; }
  const about = abouts.get(one.id)?.about;
  const before = $("facts").dataset.of === one.id ? $("facts").dataset.state : "";
  if (before && before !== one.state) speak(`Call ${one.id} is now ${STATE_WORDS[one.group]}.`);
  Object.assign($("facts").dataset, {of: one.id, state: one.state});
  const pill = make("span", "pill", one.group === "OTHER" ? one.state || "unknown" : STATE_WORDS[one.group]);
  pill.dataset.state = one.group;
  said.push(["State", pill]);
  if (about) {
    said.push(["Direction", about.direction], ["Their number", about.theirs], ["Our number", about.ours], ["Queue", about.queue],
      [about.agents.length > 1 ? "Agents" : "Agent", about.agents.join(", ")]);
  }
  const since = make("time"), updated = make("time");
  time(since, one.created, one.createdAt, true);
  time(updated, one.updated, one.updatedAt, true);
  said.push(["Began", since], ["Updated", updated], ["Length", lasts(one)]);
  const list = $("facts"), shown = said.filter(([, what]) => what !== "");
  while (list.childElementCount > shown.length) list.lastElementChild.remove();
  shown.forEach(([name, what], at) => {
    let pair = list.children[at];
    if (!pair) { pair = make("div"); pair.append(make("dt"), make("dd")); list.append(pair); }
    say(pair.firstElementChild, name);
    const fact = pair.lastElementChild;
    if (typeof what === "string") say(fact, what);
    else if (fact.textContent !== what.textContent || fact.firstElementChild?.className !== what.className || fact.firstElementChild?.dataset.state !== what.dataset.state) fact.replaceChildren(what);
  });
}

function timeline(rows) {
  const events = inOrder(rows), list = $("events");
  say($("events-words"), "This call has no events.");
  show($("events-words"), events.length === 0);
  show($("events-retry"), false);
  const began = events.find(({at}) => !Number.isNaN(at))?.at;
  const had = new Map([...list.children].map(item => [item.dataset.key, item]));
  const first = had.size === 0;
  const items = events.map((one, index) => {
    const key = one.uuid || `${one.id}/${index}`;
    const item = had.get(key) || newEvent(one, key, !first);
    say(item.querySelector(".after"), Number.isNaN(one.at) ? "" : `+${length(one.at - began)}`);
    return item;
  });
  for (const item of had.values()) if (!items.includes(item)) item.remove();
  items.forEach((item, at) => { if (list.children[at] !== item) list.insertBefore(item, list.children[at] || null); });
}

function newEvent({uuid, event, at, unknown: strange}, key, fresh) {
  const type = text(event.type), [name, state] = Object.hasOwn(EVENT_WORDS, type) ? EVENT_WORDS[type] : [type || "An event without a type", ""];
  const item = make("li", fresh ? "changed" : "");
  item.dataset.key = key;
  item.dataset.state = state || "";
  const when = make("time"), line = make("p", "what");
  time(when, at, text(event.timestamp));
  line.append(make("strong", "", name));
  if (strange) line.append(" ", make("span", "tag", "unknown type"));
  item.append(line, when, make("span", "after"));
  const more = [text(event.actor), text(event.queue) && `queue ${text(event.queue)}`, text(event.number) && `at ${text(event.number)}`,
    type === "call.new" && [text(event.their_number), text(event.our_number)].filter(Boolean).join(event.direction === "outbound" ? " ← " : " → ")].filter(Boolean);
  if (more.length) item.append(make("p", "with", more.join(" · ")));
  const raw = make("details"), label = make("summary");
  label.append(make("code", "", type || "event"));
  raw.append(label);
  raw.addEventListener("toggle", () => {
    if (raw.open && raw.childElementCount === 1) raw.append(make("pre", "", JSON.stringify(event, null, 2)), make("p", "uuid", uuid));
  });
  item.append(raw);
  return item;
}

// ------------------------------------------------------------------------------------------------------------------ the door

function refuse(words) {
  wire.stop();
  token.forget();
  forgetAll();
  door(words);
}

function door(fault) {
  document.title = "Calls";
  show($("app"), false);
  show($("door"), true);
  document.body.classList.remove("one");
  cover();
  say($("door-fault"), fault || "");
  show($("door-fault"), !!fault);
  $("token").value = "";
  $("token").focus();
}

/** Begins with a token; `typed` if somebody is there who typed it. */
function enter(value, typed = false) {
  wire.stop();
  wire.typed = typed;
  forgetAll();
  token.keep(value);
  for (const box of $("tiles").querySelectorAll("input")) box.checked = box.value === "ALL";
  $("search").value = "";
  hold(false);
  show($("door"), false);
  show($("app"), true);
  show($("detail-none"), true);
  show($("detail-one"), false);
  document.body.classList.remove("one");
  cover();
  table.measure();
  wire.connect();
}

/** Takes a token out of `#token=...` and out of the address bar, before anything else can see it there. */
function fromAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given === null) return "";
  history.replaceState(null, "", location.pathname + location.search);
  return given.trim();
}

// --------------------------------------------------------------------------------------------------------------------- start

function hold(is) {
  view.held = is;
  view.missed = 0;
  set($("hold"), "aria-pressed", String(is));
  render();
}

function narrow(change) {
  Object.assign(view, change);
  stale = true;
  if (view.held) hold(false);
  $("scroller").scrollTop = 0;
  draw();
  speak(`${many(view.shown.length, "call", "calls")} shown.`, 700);
}

function keyInList(event) {
  const page = Math.max(1, Math.floor($("scroller").clientHeight / table.rowHeight) - 1), at = table.at();
  const to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: view.shown.length - 1, PageDown: at + page, PageUp: at - page}[event.key];
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (to !== undefined) table.go(to);
  else if (event.key === "Enter" || event.key === " ") select(event.target.closest(".row").dataset.id, event.key === "Enter");
  else if (event.key === "Escape" && view.selected) deselect();
  else return;
  event.preventDefault();
}

function key(event) {
  if (event.defaultPrevented || $("app").hidden || $("keys").open || event.altKey || event.ctrlKey || event.metaKey) return;
  const writes = event.target.matches("input[type=search], input[type=password], select");
  if (event.key === "/" && !writes) { event.preventDefault(); $("search").focus(); $("search").select(); }
  else if (event.key === "?" && !writes) { event.preventDefault(); $("keys").showModal(); }
  else if (event.key === "Escape" && $("detail").contains(event.target) && view.selected) deselect();
}

function keyInSearch(event) {
  if (event.key === "ArrowDown" || event.key === "Enter") { event.preventDefault(); table.go(event.key === "Enter" ? 0 : table.at()); }
  else if (event.key === "Escape") {
    event.preventDefault();
    if ($("search").value) { $("search").value = ""; narrow({query: ""}); } else table.go(table.at());
  }
}

function listen() {
  $("token-form").addEventListener("submit", event => {
    event.preventDefault();
    const value = $("token").value.trim();
    if (value) enter(value, true);
  });
  $("leave").addEventListener("click", () => { wire.stop(); token.forget(); forgetAll(); door(); });
  $("retry").addEventListener("click", () => wire.connect());
  $("tiles").addEventListener("change", event => narrow({state: event.target.value}));
  $("search").addEventListener("input", event => narrow({query: event.target.value}));
  $("search").addEventListener("keydown", keyInSearch);
  $("sort").addEventListener("change", event => narrow({sort: event.target.value}));
  $("hold").addEventListener("click", () => { hold(!view.held); speak(view.held ? "Paused." : "Live again."); });
  $("empty-reset").addEventListener("click", () => {
    $("search").value = "";
    $("tiles").querySelector("input").checked = true;
    narrow({query: "", state: "ALL"});
    $("search").focus();
  });
  $("more-load").addEventListener("click", readMore);
  $("rows").addEventListener("keydown", keyInList);
  $("rows").addEventListener("click", event => { const row = event.target.closest(".row"); if (row) { select(row.dataset.id, NARROW.matches); } });
  $("rows").addEventListener("focusin", event => { const row = event.target.closest(".row"); if (row && row.dataset.id !== view.active) { view.active = row.dataset.id; table.draw(); } });
  let scrolled = 0;
  $("scroller").addEventListener("scroll", () => { table.draw(); clearTimeout(scrolled); scrolled = setTimeout(look, 200); }, {passive: true});
  $("close").addEventListener("click", deselect);
  $("events-retry").addEventListener("click", openEvents);
  $("help").addEventListener("click", () => $("keys").showModal());
  $("keys-close").addEventListener("click", () => $("keys").close());
  document.addEventListener("keydown", key);
  NARROW.addEventListener("change", cover);
  addEventListener("popstate", () => { if (view.selected && !history.state?.one) closed(); });
  addEventListener("online", () => { if (wire.state === "lost") wire.connect(); });
  addEventListener("hashchange", () => { const given = fromAddress(); if (given) enter(given); });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    if (wire.state === "lost") wire.connect();
    render();
  });
  new ResizeObserver(() => { table.measure(); draw(); }).observe($("scroller"));
  setInterval(() => {
    wire.check();
    if (document.hidden || $("app").hidden) return;
    connection();
    render();
  }, 1000);
}

listen();
const given = fromAddress() || token.read();
if (given) enter(given); else door();
