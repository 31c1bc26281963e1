// What the client sees of each program.
// usage: node client.cjs PROGRAM URL TRANSPORTS
"use strict";

const { io } = require("../node_modules/sioc4");
const [, , program, url, transports] = process.argv;
const transcript = {}; // by client, since what several see comes in no certain order
const names = new Map();
const sockets = [];

const plain = (value) => {
  if (typeof value === "string") return names.has(value) ? names.get(value) : value;
  if (ArrayBuffer.isView(value)) return `bytes:${Array.from(value)}`;
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value === undefined ? "undefined" : value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, plain(value[key])]));
};
const note = (name, ...words) => (transcript[name] ||= []).push(plain(words));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const within = (promise, what) =>
  Promise.race([promise, pause(5000).then(() => Promise.reject(new Error(`nothing: ${what}`)))]);

// Create a client whose events are all noted.
const create = (name, path = "/", options = {}) => {
  const socket = io(url + path, {
    transports: transports.split(","),
    forceNew: true,
    reconnection: false,
    ...options,
  });
  socket.on("connect", () => names.set(socket.id, `<${name}>`));
  socket.onAny((event, ...args) => note(name, event, ...args.map((a) => (a instanceof Function ? "ack" : a))));
  socket.on("disconnect", (reason) => note(name, "disconnected", reason));
  socket.name = name;
  sockets.push(socket);
  return socket;
};
const settled = (name, socket) =>
  within(
    new Promise((resolve) => {
      socket.on("connect", () => resolve(note(`${name}'s state`, "connected")));
      socket.on("connect_error", (error) =>
        resolve(note(`${name}'s state`, "refused", error.message, error.data)),
      );
    }),
    `${name} to connect`,
  );
const open = async (name, ...rest) => {
  const socket = create(name, ...rest);
  await settled(name, socket);
  return socket;
};
const next = (socket, event) =>
  within(new Promise((resolve) => socket.once(event, resolve)), event);
const ask = async (socket, event, ...args) => {
  const answer = await within(
    new Promise((resolve) => socket.emit(event, ...args, (...values) => resolve(values))),
    `the answer to ${event}`,
  );
  note(socket.name, "answer", event, ...answer);
};
const get = async (path, options) => {
  const answer = await fetch(url + path, options);
  const type = (answer.headers.get("content-type") || "").split(";")[0];
  note("http", path, answer.status, type, (await answer.text()).trim().slice(0, 200));
};

const programs = {
  async echo() {
    for (const name of ["a", "b"]) {
      const socket = create(name);
      const welcome = next(socket, "server_response");
      await settled(name, socket);
      await welcome;
    }
    const [a, b] = sockets;
    b.close();
    a.emit("my_event", { data: "hello é" });
    await next(a, "server_response");
    await ask(a, "my message", "some text");
    await ask(a, "picture", "a.png", Buffer.from([1, 2, 3]));
    await ask(a, "message", [1, { two: null }]);
    a.send("through send");
    a.emit("send_me", { back: true });
    await next(a, "message");
    await ask(a, "nothing");
    await ask(a, "many");
    await ask(a, "many", 1);
    await ask(a, "many", 1, "2", null);
    a.emit("fails");
    a.emit("nobody listens", 1);
    await ask(a, "message", "still here");
    const over = next(a, "disconnect");
    a.emit("disconnect_request");
    await over;
  },
  async rooms_and_sessions() {
    const path = { path: "/chat/socket.io" };
    const ada = await open("ada", "/", { ...path, auth: { name: "Ada" } });
    const joined = next(ada, "users");
    const grace = await open("grace", "/", { ...path, auth: { name: "Grace" } });
    await joined;
    await ask(ada, "enter", { room: "math" });
    await ask(grace, "enter", { room: "math" });
    await ask(grace, "enter", { room: "navy" });
    await ask(ada, "enter", { room: "math" });
    await ask(ada, "say", { text: "one" });
    await ask(grace, "say", { text: "two" });
    await ask(grace, "leave", { room: "navy" });
    await ask(grace, "leave", { room: "nowhere" });
    ada.emit("shout", { rooms: ["math", "navy", "nowhere"], text: "all" });
    await next(ada, "said");
    await ask(grace, "whisper", { to: ada.id, text: "psst" });
    await ask(ada, "whisper", { to: grace.id, text: "yes?" });
    ada.emit("close", { room: "math" });
    await next(ada, "said");
    await ask(grace, "leave", { room: "other" });
    await ask(ada, "shout", { rooms: ["math"], text: "nobody hears" });
    const left = next(ada, "users");
    grace.close();
    await left;
  },
  async class_namespaces() {
    const game = create("game");
    const ready = next(game, "ready");
    await settled("game", game);
    await ready;
    await ask(game, "move", 1, 2);
    await ask(game, "move", 3, 4);
    await ask(game, "plain", { a: 1 });
    await ask(game, "no such method", 1);
    game.on("question", (what, answer) => answer("blue", what));
    game.emit("ask_me");
    await next(game, "answered");
    game.emit("ask_later");
    await next(game, "answered");
    const a = await open("a", "/lobby", { auth: { banned: false } });
    const b = await open("b", "/lobby");
    await open("c", "/lobby", { auth: { banned: true } });
    a.emit("join", "r");
    await next(a, "joined");
    b.emit("join", "r");
    await next(b, "joined");
    await ask(a, "part", "r");
    await ask(a, "anything", 1, 2);
    const gone = next(a, "gone");
    b.close();
    await gone;
    const over = next(game, "disconnect");
    game.emit("leave");
    await over;
  },
  async background_tasks() {
    const a = await open("a");
    for (let i = 0; i < 5; i++) await next(a, "my_response");
    await ask(a, "was_started");
    await ask(a, "work", 0.02);
    await pause(50);
    await ask(a, "add", 1, 2);
    await ask(a, "ask");
    a.on("question", (x, y, answer) => answer(x, y + 1));
    await ask(a, "ask");
    a.off("question");
    a.on("question", (x, y, answer) => answer());
    await ask(a, "ask");
  },
  async refusals() {
    await open("none");
    for (const how of ["false", "data", "several", "empty"]) {
      await open(how, "/", { auth: { how } });
    }
    await open("sync", "/sync");
    const early = create("early", "/", { auth: { how: "before" } });
    const hello = next(early, "hello");
    await settled("early", early);
    await hello;
    await ask(early, "ping_me");
    await open("ok", "/ok");
    // One connection, of which one namespace is refused.
    const other = early.io.socket("/sync");
    await settled("other", other);
    await ask(early, "ping_me");
  },
  async fastapi_app() {
    await get("/");
    await get("/static/main.js");
    await get("/static/missing.js");
    await get("/users");
    await get("/nothing");
    const a = create("a", "/", { query: { colour: "green" }, extraHeaders: { "X-Agent": "test" } });
    const seen = next(a, "seen");
    await settled("a", a);
    await seen;
    await get("/users");
    const announced = next(a, "announcement");
    await get("/announce/hello", { method: "POST" });
    await announced;
    a.close();
    await pause(100);
    await get("/users");
  },
  async mounted() {
    await get("/");
    const path = { path: "/ws/socket.io" };
    const a = await open("a", "/", path);
    await ask(a, "whatever");
    await ask(a, "more", 1, { two: 2 });
    const b = await open("b", "/known", path);
    await ask(b, "something", 1);
    const cors = { headers: { Origin: "http://example.com" } };
    const answer = await fetch(`${url}/ws/socket.io/?EIO=4&transport=polling`, cors);
    note("cors", answer.status, answer.headers.get("access-control-allow-origin"));
    const other = { headers: { Origin: "http://evil.example" } };
    const refused = await fetch(`${url}/ws/socket.io/?EIO=4&transport=polling`, other);
    note("cors", refused.ok, refused.headers.get("access-control-allow-origin"));
  },
  async old_style() {
    const a = await open("a");
    for (let i = 0; i < 3; i++) a.emit("slow", i);
    await ask(a, "log");
    a.emit("numbers", 20);
    await ask(a, "log");
    const b = await open("b", "/other");
    b.emit("ping_me", 1, Buffer.from([9]), "x");
    await next(b, "ponged");
    b.close();
    await pause(50);
    a.emit("odd");
    await ask(a, "log");
    const c = await open("c");
    c.close();
    await pause(100);
    await ask(a, "log");
  },
};

programs[program]()
  .catch((error) => note("failed", String(error)))
  .then(async () => {
    for (const socket of sockets) socket.offAny().off("disconnect").close();
    console.log(JSON.stringify([transcript]));
    process.exit(0);
  });
