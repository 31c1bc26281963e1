// The chat's page. Three parts: how it talks to the server (transports), what it knows (the client),
// and what is seen (the view). Text of others is only ever put into text nodes.

const SUBPROTOCOL = "chat.duplexio";
const WELCOME_TIMEOUT = 8000;
const SAVE_TIMEOUT = 12000;
const TYPING_PAUSE = 2500;
const TYPING_SHOWN = 5000;
const GROUP_TIME = 5 * 60 * 1000;
const MAX_SHOWN = 1000;

const $ = (id) => document.getElementById(id);

// ------------------------------------------------------------------------------------ transports

/** A WebSocket. `on` has the functions message(object) and closed({code, reason, opened}). */
class SocketTransport {
  label = "";
  constructor(join, on) {
    const url = new URL("/chat", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    let opened = false;
    this.socket = new WebSocket(url, SUBPROTOCOL);
    this.socket.onopen = () => { opened = true; this.send(join); };
    this.socket.onmessage = (event) => on.message(JSON.parse(event.data));
    this.socket.onclose = (event) => on.closed({ code: event.code, reason: event.reason, opened });
  }
  send(object) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(object));
  }
  close() {
    this.socket.onmessage = this.socket.onclose = this.socket.onopen = null;
    this.socket.close();
  }
}

/** Long polling: a GET that waits for news, and POSTs one after the other. */
class PollTransport {
  label = "long polling";
  constructor(join, on) {
    this.on = on;
    this.stop = new AbortController();
    this.sending = this.run(join);
  }
  async post(path, object) {
    return fetch(path, {
      method: "POST", body: JSON.stringify(object), signal: this.stop.signal,
      headers: { "Content-Type": "application/json" },
    });
  }
  async run(join) {
    let opened = false;
    try {
      const response = await this.post("/poll/enter", join);
      const answer = await response.json();
      if (!response.ok) {
        this.on.message(answer);
        throw new Error(answer.text);
      }
      opened = true;
      this.session = encodeURIComponent(answer.session);
      this.listen();
    } catch (error) {
      this.closed(error, opened);
    }
  }
  async listen() {
    let after = 0;
    let failures = 0;
    while (!this.stop.signal.aborted) {
      try {
        const response = await fetch(`/poll/events?session=${this.session}&after=${after}`,
          { cache: "no-store", signal: this.stop.signal });
        if (!response.ok) throw Object.assign(new Error("The session has ended"), { final: true });
        const answer = await response.json();
        failures = 0;
        after = answer.next;
        for (const event of answer.events) this.on.message(event);
      } catch (error) {
        failures += 1;
        if (error.final || failures > 2) return this.closed(error, true);
        await new Promise((resolve) => setTimeout(resolve, 500 * failures));
      }
    }
  }
  send(object) {
    this.sending = this.sending.then(async () => {
      const response = await this.post(`/poll/send?session=${this.session}`, object);
      if (!response.ok) {
        const refusal = await response.json();
        if (response.status === 413) this.on.message({ ...refusal, id: object.id });
        else throw new Error(refusal.text);
      }
    }).catch((error) => this.closed(error, true));
  }
  closed(error, opened) {
    if (this.stop.signal.aborted) return;
    this.stop.abort();
    this.on.closed({ code: 1006, reason: error.message, opened });
  }
  close() {
    this.stop.abort();
  }
}

// ---------------------------------------------------------------------------------------- client

/** What survives a reload of this tab: who we are, and what is not sent yet. */
const saved = {
  read() {
    try { return JSON.parse(sessionStorage.getItem("chat")) || {}; } catch { return {}; }
  },
  write(value) {
    try { sessionStorage.setItem("chat", JSON.stringify(value)); } catch { /* not kept, then */ }
  },
};

class Client {
  constructor(view) {
    this.view = view;
    const { me = null, pending = [], seen = {} } = saved.read();
    this.me = me;             // {name, room, uid, key}
    this.pending = pending;   // {id, room, text, time, failed}
    this.seen = seen;         // the number of the last message read, by room
    this.history = "";
    this.last = null;         // the number of the last message shown
    this.members = new Map();
    this.limits = null;
    this.transport = null;
    this.wanted = false;      // whether we want to be in a room
    this.joined = false;      // whether we are
    this.previous = null;     // what `me` was, while we change rooms
    this.inFlight = null;     // the id of the message that waits for its number
    this.attempts = 0;
    this.polling = !("WebSocket" in window);
    addEventListener("online", () => { if (this.wanted && !this.joined) this.connect(); });
    addEventListener("offline", () => { if (this.transport) this.lost({ code: 1006, reason: "" }); });
  }

  keep() {
    saved.write({ me: this.me, pending: this.pending, seen: this.seen });
  }

  /** Enter a room; the answer comes later. */
  enter(name, room) {
    const before = this.me;
    this.me = { uid: "", key: "", ...before, name, room };
    if (before && before.room !== room) this.forgetRoom();
    this.keep();
    this.wanted = true;
    this.previous = null;
    if (this.joined) {
      this.previous = before;
      this.change();
    } else {
      this.attempts = 0;
      this.connect();
    }
  }

  /** Ask for the room on the connection that there is. */
  change() {
    this.joined = false;
    this.inFlight = null;
    clearTimeout(this.saveTimer);
    this.transport.send(this.joinRequest());
    this.timer = setTimeout(() => this.lost({ code: 1006, reason: "no answer" }), WELCOME_TIMEOUT);
  }

  forgetRoom() {
    this.last = null;
    this.members.clear();
    this.view.clear();
  }

  joinRequest() {
    const { name, room, uid, key } = this.me;
    const request = { type: "join", name, room, uid, key, history: this.history };
    return this.last === null ? request : { ...request, last: this.last };
  }

  connect() {
    this.disconnect();
    this.view.status("connecting", this.attempts ? "Reconnecting" : "Connecting");
    const transports = this.polling ? [PollTransport] : [SocketTransport, PollTransport];
    this.tryNext(transports);
  }

  /** Try one way after the other; a WebSocket that does not open may be blocked on its way. */
  tryNext(transports) {
    const [Transport, ...others] = transports;
    const failed = (end) => {
      clearTimeout(this.timer);
      this.transport = null;
      if (others.length && !this.joined && end.code !== 1013) this.tryNext(others);
      else this.lost(end);
    };
    let transport;
    try {
      transport = new Transport(this.joinRequest(), {
        message: (event) => { if (this.transport === transport) this.told(event); },
        closed: (end) => { if (this.transport === transport) failed(end); },
      });
    } catch (error) {
      failed({ code: 1006, reason: error.message });
      return;
    }
    this.transport = transport;
    this.timer = setTimeout(() => {
      transport.close();
      failed({ code: 1006, reason: "no answer" });
    }, WELCOME_TIMEOUT);
  }

  disconnect() {
    clearTimeout(this.timer);
    clearTimeout(this.retryTimer);
    clearTimeout(this.saveTimer);
    this.joined = false;
    this.inFlight = null;
    this.transport?.close();
    this.transport = null;
  }

  /** The connection is lost: wait, longer and longer, and connect again. */
  lost({ code, reason }) {
    const inFlight = this.pending.find((message) => message.id === this.inFlight);
    this.disconnect();
    if (!this.wanted) return;
    if (code === 1009 && inFlight) {
      // Sending it again would only end in the same way.
      this.refuse(inFlight, `The server refused this message as too large (${reason}).`);
    }
    const delay = Math.min(30000, 500 * 2 ** this.attempts) * (0.5 + Math.random() / 2);
    this.attempts += 1;
    const why = { 1012: "The server is restarting", 1013: "The server is full" }[code] ?? "Connection lost";
    this.view.offline(why, Date.now() + delay);
    this.retryTimer = setTimeout(() => this.connect(), delay);
  }

  leave() {
    this.transport?.send({ type: "leave" });
    // Long polling sends in its own time.
    const transport = this.transport;
    this.transport = null;
    setTimeout(() => transport?.close(), 500);
    this.disconnect();
    this.wanted = false;
    this.me = { ...this.me, room: "" };
    this.history = "";
    this.forgetRoom();
    this.keep();
  }

  // What the server tells

  told(event) {
    switch (event.type) {
      case "welcome": return this.welcomed(event);
      case "message": return this.received(event);
      case "saved": return this.confirmed(event.id);
      case "joined":
        this.members.set(event.uid, event.name);
        this.view.people();
        if (!event.quiet) this.view.event(`${event.name} joined`);
        return;
      case "left":
        this.members.delete(event.uid);
        this.view.people();
        this.view.event(`${event.name} left`);
        return;
      case "typing": return this.view.typing(event);
      case "rooms": return this.view.rooms(event.rooms);
      case "error": return this.refused(event);
    }
  }

  welcomed(event) {
    clearTimeout(this.timer);
    const { name, room, uid, key, history } = event;
    const isNewHistory = this.history && this.history !== history && this.last !== null;
    for (const message of this.pending) {
      // What was said while the answer was on its way knows the room by the name we gave it.
      if (message.room === this.me.room) message.room = room;
    }
    this.me = { name, room, uid, key };
    this.previous = null;
    this.joined = true;
    this.attempts = 0;
    this.history = history;
    this.limits = event.limits;
    this.members = new Map(event.members.map((member) => [member.uid, member.name]));
    const isFirst = this.last === null || isNewHistory;
    if (isNewHistory) {
      this.view.divider("The server has begun a new history");
      this.last = null;
    }
    this.view.entered(isFirst);
    if (event.missed) this.view.divider(`${event.missed} messages in between are not shown`);
    for (const message of event.messages) this.received(message);
    this.last = Math.max(this.last ?? 0, event.last);
    this.view.loaded();
    this.view.rooms(event.rooms);
    this.view.status("online", this.transport.label ? `Connected (${this.transport.label})` : "Connected");
    this.keep();
    this.flush();
  }

  received(message) {
    const own = message.uid === this.me.uid;
    if (own) this.confirmed(message.id);
    // What was shown already is not shown again, whatever the connection has been through.
    if (this.last !== null && message.n <= this.last) return;
    this.last = message.n;
    this.view.message(message, own);
  }

  refused(event) {
    const message = event.id && this.pending.find(({ id }) => id === event.id);
    if (message) {
      clearTimeout(this.saveTimer);
      this.inFlight = null;
      if (event.retry) {
        this.retryTimer = setTimeout(() => this.flush(), event.retry * 1000 + 50);
      } else {
        this.refuse(message, event.text);
        this.flush();
      }
    } else if (!this.joined && this.previous) {
      clearTimeout(this.timer);
      this.me = this.previous;
      this.previous = null;
      this.change();
      this.view.alert(event.text);
    } else if (!this.joined && event.code === "too_fast") {
      clearTimeout(this.timer);
      this.retryTimer = setTimeout(() => this.connect(), event.retry * 1000 + 50);
    } else if (!this.joined && !["full", "restart", "storage"].includes(event.code)) {
      this.disconnect();
      this.wanted = false;
      this.view.entryForm(event.text);
    } else {
      this.view.alert(event.text);
    }
  }

  // What we say: one message at a time is on its way, so that they arrive in order.

  say(text) {
    const id = [...crypto.getRandomValues(new Uint8Array(12))]
      .map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const message = { id, room: this.me.room, text, time: Date.now(), failed: "" };
    this.typedAt = 0;
    this.pending.push(message);
    this.view.pending(message);
    this.keep();
    this.flush();
  }

  flush() {
    if (!this.joined || this.inFlight) return;
    const message = this.pending.find(({ room, failed }) => room === this.me.room && !failed);
    if (!message) return;
    this.inFlight = message.id;
    this.transport.send({ type: "say", id: message.id, text: message.text });
    this.saveTimer = setTimeout(() => this.lost({ code: 1006, reason: "no answer" }), SAVE_TIMEOUT);
  }

  confirmed(id) {
    this.pending = this.pending.filter((message) => message.id !== id);
    this.view.sent(id);
    this.keep();
    if (this.inFlight === id) {
      clearTimeout(this.saveTimer);
      this.inFlight = null;
      this.flush();
    }
  }

  refuse(message, text) {
    message.failed = text;
    this.view.failed(message);
    this.keep();
  }

  discard(message) {
    this.pending = this.pending.filter((other) => other !== message);
    this.view.sent(message.id);
    this.keep();
  }

  type() {
    const now = Date.now();
    if (this.joined && now - (this.typedAt ?? 0) > TYPING_PAUSE) {
      this.typedAt = now;
      this.transport.send({ type: "typing" });
    }
  }
}

// ------------------------------------------------------------------------------------------ view

/** Make an element: its class, and its children or text. */
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

function hue(uid) {
  let hash = 0;
  for (const character of uid) hash = (hash * 31 + character.codePointAt(0)) >>> 0;
  return String((hash * 47) % 360);
}

function avatar(uid, name) {
  const element = make("span", "avatar", [...name][0].toUpperCase());
  element.setAttribute("aria-hidden", "true");
  element.style.setProperty("--hue", hue(uid));
  return element;
}

const LINK = /\bhttps?:\/\/[^\s<>"'`]+/g;

/** Text with its web addresses as links; nothing else in it means anything. */
function linked(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    const address = match[0].replace(/[.,;:!?)\]}]+$/, "");
    let url;
    try { url = new URL(address); } catch { continue; }
    const link = make("a", "", address);
    link.href = url.href;
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
    parts.push(text.slice(end, match.index), link);
    end = match.index + address.length;
  }
  return [...parts, text.slice(end)];
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

function dayName(time) {
  const day = new Date(time).toDateString();
  const now = new Date();
  if (day === now.toDateString()) return "Today";
  now.setDate(now.getDate() - 1);
  return day === now.toDateString() ? "Yesterday" : calendar.format(time);
}

function count(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}

class View {
  constructor() {
    this.unread = 0;
    this.typists = new Map();
    this.before = null;       // the message above, for grouping
    this.following = true;    // whether the log is scrolled to its end
    this.isLoading = false;
  }

  start(client) {
    this.client = client;
    const { me } = client;
    const room = new URLSearchParams(location.search).get("room");
    $("entry-name").value = me?.name ?? localStorage.getItem("chat-name") ?? "";
    $("entry-room").value = room ?? me?.room ?? "";
    this.listen();
    if (me?.name && me.room && (room === null || room === me.room)) client.enter(me.name, me.room);
    else this.entryForm("");
  }

  listen() {
    const { client } = this;
    $("entry-form").addEventListener("submit", (event) => {
      event.preventDefault();
      $("entry-error").textContent = "";
      client.enter($("entry-name").value.trim(), $("entry-room").value.trim());
    });
    $("composer").addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
    $("text").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.send();
      }
    });
    $("text").addEventListener("input", () => {
      this.measure();
      if ($("text").value.trim()) client.type();
    });
    $("room-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const room = $("room-new").value.trim();
      $("room-new").value = "";
      if (room) this.go(room);
    });
    $("leave").addEventListener("click", () => { client.leave(); this.entryForm(""); });
    $("alert-close").addEventListener("click", () => { $("alert").hidden = true; $("text").focus(); });
    $("jump").addEventListener("click", () => { this.scrollToEnd(); $("text").focus(); });
    $("scroll").addEventListener("scroll", () => this.scrolled());
    $("side-open").addEventListener("click", () => this.openSide(true));
    for (const id of ["side-close", "shade"]) $(id).addEventListener("click", () => this.openSide(false));
    addEventListener("keydown", (event) => { if (event.key === "Escape") this.openSide(false); });
    addEventListener("resize", () => { if (this.following) this.scrollToEnd(); });
    document.addEventListener("visibilitychange", () => this.seen());
    new ResizeObserver(() => { if (this.following) this.scrollToEnd(); }).observe($("log"));
  }

  // Entering

  entryForm(error) {
    $("chat").hidden = true;
    $("entry").hidden = false;
    $("entry-error").textContent = error;
    document.title = "duplexio chat";
    $("entry-name").focus();
    $("entry-name").select();
  }

  entered(isFirst) {
    const { name, room } = this.client.me;
    const wasHidden = $("chat").hidden;
    try { localStorage.setItem("chat-name", name); } catch { /* not kept, then */ }
    const url = new URL(location.href);
    if (room === "lobby") url.searchParams.delete("room");
    else url.searchParams.set("room", room);
    history.replaceState(null, "", url);
    $("entry").hidden = true;
    $("chat").hidden = false;
    $("title").textContent = `#${room}`;
    $("text").placeholder = `Message #${room}`;
    $("me").textContent = name;
    // The messages of before are not read out; only what comes from now on is.
    this.isLoading = true;
    $("log").setAttribute("aria-busy", "true");
    if (isFirst) {
      this.before = null;
      this.unread = 0;
      this.newMark?.remove();
      $("pending").replaceChildren();
      for (const message of this.client.pending) {
        if (message.room === room) this.pending(message);
      }
    }
    this.people();
    this.openSide(false);
    if (wasHidden) $("text").focus();
  }

  loaded() {
    this.isLoading = false;
    $("log").removeAttribute("aria-busy");
    if (!$("log").childElementCount) {
      $("log").append(make("p", "empty", "Nobody has said anything here yet. Say hello!"));
    }
    if (this.following) this.scrollToEnd();
    this.seen();
  }

  clear() {
    $("log").replaceChildren();
    $("pending").replaceChildren();
    $("alert").hidden = true;
    this.typists.clear();
    this.showTyping();
    this.before = null;
    this.following = true;
    this.unread = 0;
  }

  go(room) {
    if (room !== this.client.me.room) this.client.enter(this.client.me.name, room);
    this.openSide(false);
    $("text").focus();
  }

  openSide(open) {
    const was = $("chat").classList.contains("open");
    $("chat").classList.toggle("open", open);
    $("side-open").setAttribute("aria-expanded", String(open));
    if (open) $("side-close").focus();
    else if (was) $("side-open").focus();
  }

  // The connection

  status(state, text) {
    clearInterval(this.countdown);
    $("status").dataset.state = state;
    $("status-text").textContent = text;
    if ($("chat").hidden && state === "connecting") $("entry-error").textContent = "";
  }

  offline(why, until) {
    const seconds = make("span", "");
    const now = make("button", "", "Try now");
    now.type = "button";
    now.addEventListener("click", () => this.client.connect());
    const show = () => {
      seconds.textContent = ` ${Math.max(0, Math.round((until - Date.now()) / 1000))} s `;
    };
    // The seconds are not read out.
    seconds.setAttribute("aria-hidden", "true");
    this.status("offline", "");
    show();
    $("status-text").append(why, seconds, now);
    this.countdown = setInterval(show, 500);
    if ($("chat").hidden && !$("entry").hidden) {
      $("entry-error").textContent = `${why}. It will be tried again.`;
    }
  }

  // The log

  add(element) {
    $("log").querySelector(".empty")?.remove();
    $("log").append(element);
    if ($("log").childElementCount > MAX_SHOWN) $("log").firstElementChild.remove();
    if (this.following) this.scrollToEnd();
  }

  bubble(message, own) {
    const { uid, name, text, time } = message;
    const stamp = make("time", "", clock.format(time));
    stamp.dateTime = new Date(time).toISOString();
    stamp.title = new Date(time).toLocaleString();
    const by = make("div", "byline", make("b", "", own ? "You" : name), stamp);
    by.style.setProperty("--hue", hue(uid));
    const element = make("div", "message final", avatar(uid, name), by, make("div", "bubble", ...linked(text)));
    if (own) element.classList.add("own");
    return element;
  }

  message(message, own) {
    const { before } = this;
    // That the first message is of today need not be said.
    const isNewDay = dayName(message.time) !== (before ? dayName(before.time) : "Today");
    if (isNewDay) this.divider(dayName(message.time));
    if (!own && !this.isLoading) this.unseen();
    const element = this.bubble(message, own);
    const last = $("log").lastElementChild;
    const isGrouped = before && !isNewDay && before.uid === message.uid
      && message.time - before.time < GROUP_TIME && last?.classList.contains("message");
    if (isGrouped) last.classList.remove("final");
    else element.classList.add("first");
    element.dataset.n = message.n;
    this.before = message;
    this.typists.delete(message.uid);
    this.showTyping();
    this.add(element);
  }

  event(text) {
    this.add(make("p", "event", text));
  }

  divider(text) {
    const element = make("div", "divider", make("span", "", text));
    this.add(element);
    this.before = null;
    return element;
  }

  /** Count a message that arrives while nobody looks. */
  unseen() {
    if (!document.hidden && this.following) return;
    if (!this.unread) {
      this.newMark?.remove();
      this.newMark = this.divider("New");
      this.newMark.classList.add("new");
      this.before = { time: Date.now(), uid: "" };
    }
    this.unread += 1;
    this.showUnread();
  }

  seen() {
    const { client } = this;
    if (document.hidden || !this.following || !client.joined) return;
    this.unread = 0;
    client.seen[client.me.room] = client.last ?? 0;
    client.keep();
    this.showUnread();
  }

  showUnread() {
    const { me } = this.client;
    document.title = `${this.unread ? `(${this.unread}) ` : ""}#${me.room} – duplexio chat`;
    $("jump").hidden = this.following;
    $("jump").textContent = this.unread ? `↓ ${count(this.unread, "new message", "new messages")}` : "↓ Latest";
  }

  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = $("scroll");
    this.following = scrollHeight - scrollTop - clientHeight < 40;
    if (this.client.joined) {
      this.seen();
      this.showUnread();
    }
  }

  scrollToEnd() {
    this.following = true;
    $("scroll").scrollTop = $("scroll").scrollHeight;
    this.seen();
  }

  // What is on its way

  pending(message) {
    const { uid, name } = this.client.me;
    const element = this.bubble({ ...message, uid: uid || "me", name }, true);
    element.dataset.id = message.id;
    element.append(make("div", "fate"));
    $("log").querySelector(".empty")?.remove();
    $("pending").append(element);
    if (message.failed) this.failed(message);
    else {
      // Most are there at once, and need no mark.
      setTimeout(() => {
        if (!element.isConnected || message.failed) return;
        element.classList.add("sending");
        element.querySelector(".fate").textContent = "Sending…";
      }, 300);
    }
    this.scrollToEnd();
  }

  pendingElement(id) {
    return [...$("pending").children].find((element) => element.dataset.id === id);
  }

  sent(id) {
    this.pendingElement(id)?.remove();
  }

  failed(message) {
    const element = this.pendingElement(message.id);
    if (!element) return this.alert(message.failed);
    element.classList.remove("sending");
    element.classList.add("failed");
    const discard = make("button", "", "Delete");
    const edit = make("button", "", "Edit");
    for (const button of [edit, discard]) {
      button.type = "button";
      button.addEventListener("click", () => {
        if (button === edit) $("text").value = message.text;
        this.client.discard(message);
        this.measure();
        $("text").focus();
      });
    }
    element.querySelector(".fate").replaceChildren(`Not sent. ${message.failed}`, edit, discard);
    this.alert(message.failed);
    this.scrollToEnd();
  }

  alert(text) {
    $("alert-text").textContent = text;
    $("alert").hidden = false;
  }

  // Writing

  tooLong(text) {
    const limit = this.client.limits?.text ?? Infinity;
    if (text.length <= limit) return 0;
    const length = [...text].length;
    return length > limit ? length : 0;
  }

  send() {
    const text = $("text").value.replace(/^\n+|\s+$/g, "");
    if (!text || !this.client.me) return;
    const length = this.tooLong(text);
    if (length) {
      this.alert(`Not sent: the message has ${length.toLocaleString("en")} characters, and `
        + `${this.client.limits.text.toLocaleString("en")} at most are allowed. Shorten it or send it in parts.`);
      return;
    }
    $("alert").hidden = true;
    $("text").value = "";
    this.measure();
    this.client.say(text);
  }

  measure() {
    const text = $("text");
    const limit = this.client.limits?.text ?? Infinity;
    const over = this.tooLong(text.value);
    $("counter").classList.toggle("over", Boolean(over));
    $("counter").textContent = over ? `${over.toLocaleString("en")} of ${limit.toLocaleString("en")} characters`
      : text.value.length > limit * 0.8 ? `${(limit - [...text.value].length).toLocaleString("en")} characters left` : "";
    text.style.height = "auto";
    text.style.height = `${Math.min(text.scrollHeight, innerHeight * 0.4)}px`;
    if (this.following) this.scrollToEnd();
  }

  // Who and where

  people() {
    const { members, me } = this.client;
    const people = [...members].sort(([, a], [, b]) => a.localeCompare(b));
    $("people").replaceChildren(...people.map(([uid, name]) => {
      const row = make("li", "person", avatar(uid, name), make("span", "person-name", name));
      if (uid === me.uid) row.append(make("span", "you", "you"));
      return row;
    }));
    $("people-title").textContent = `Here now: ${people.length}`;
    $("head-people").textContent = people.length === 1 ? "only you" : `${people.length} here`;
  }

  rooms(rooms) {
    const { client } = this;
    let unread = false;
    if (!rooms.some(({ name }) => name === client.me.room)) {
      rooms = [...rooms, { name: client.me.room, members: client.members.size, last: client.last ?? 0 }];
    }
    rooms.sort((a, b) => b.members - a.members || a.name.localeCompare(b.name));
    const focused = document.activeElement?.dataset.room;
    $("rooms").replaceChildren(...rooms.map(({ name, members, last }) => {
      const button = make("button", "", make("span", "room-name", name));
      button.type = "button";
      button.dataset.room = name;
      button.addEventListener("click", () => this.go(name));
      const news = name in client.seen ? last - client.seen[name] : 0;
      if (name === client.me.room) {
        button.setAttribute("aria-current", "true");
      } else if (news > 0) {
        unread = true;
        const badge = make("span", "badge", news > 99 ? "99+" : String(news));
        badge.append(make("span", "hidden", " unread"));
        button.append(badge);
      }
      if (members) {
        const number = make("span", "room-count", String(members));
        number.append(make("span", "hidden", " here"));
        button.append(number);
      }
      return make("li", "", button);
    }));
    $("side-unread").hidden = !unread;
    if (focused) [...$("rooms").querySelectorAll("button")].find(({ dataset }) => dataset.room === focused)?.focus();
  }

  typing({ uid, name }) {
    clearTimeout(this.typists.get(uid)?.timer);
    const timer = setTimeout(() => { this.typists.delete(uid); this.showTyping(); }, TYPING_SHOWN);
    this.typists.set(uid, { name, timer });
    this.showTyping();
  }

  showTyping() {
    const names = [...this.typists.values()].map(({ name }) => name);
    $("typing").textContent = !names.length ? ""
      : names.length > 3 ? "Several people are typing…"
      : `${names.join(", ")} ${names.length === 1 ? "is" : "are"} typing…`;
  }
}

$("starting").remove();
const view = new View();
view.start(new Client(view));
