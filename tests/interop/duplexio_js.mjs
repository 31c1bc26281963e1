// Drives duplexio.js against a server: node duplexio_js.mjs MODULE URL TRANSPORTS
// The servers are test_duplexio_js.py's and duplexio_js_server.cjs.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
const WebSocket = require("ws");
const [modulePath, url, transports, kind] = process.argv.slice(2);
const { io } = await import(pathToFileURL(modulePath));

const options = (more = {}) => ({
  transports: transports.split(","),
  WebSocket,
  forceNew: true,
  reconnectionDelay: 20,
  reconnectionDelayMax: 50,
  ...more,
});
const sockets = [];
function open(nsp = "/", more = {}) {
  const socket = io(url + nsp, options(more));
  sockets.push(socket);
  return socket;
}
const next = (emitter, event) => new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));

const checks = {
  async "connects, and says so"() {
    const socket = open();
    assert.equal(socket.connected, false);
    assert.equal(socket.active, true);
    await next(socket, "connect");
    assert.equal(socket.connected, true);
    assert.equal(typeof socket.id, "string");
    assert.equal(socket.recovered, false);
  },

  async "echoes text, numbers, nested data and bytes"() {
    const socket = open();
    const sent = ["hé €😀\u2028", 1.5, null, true, [1, [2]], { a: { b: "c" } }, new Uint8Array([0, 1, 255]).buffer, { d: [Buffer.from("x")] }];
    socket.emit("echo", ...sent);
    const got = await next(socket, "echo");
    assert.deepEqual(got.slice(0, 6), sent.slice(0, 6));
    assert.deepEqual([...new Uint8Array(got[6])], [0, 1, 255]);
    assert.deepEqual([...new Uint8Array(got[7].d[0])], [120]);
  },

  async "acknowledges both ways"() {
    const socket = open();
    assert.deepEqual(await socket.emitWithAck("answer", 1, "two"), [1, "two"]);
    assert.deepEqual(await socket.timeout(5000).emitWithAck("answer", 3), [3]);
    socket.on("question", (value, answer) => answer(value * 2, Buffer.from("b")));
    socket.emit("ask me", 21);
    const [answer, bytes] = await next(socket, "you said");
    assert.equal(answer, 42);
    assert.equal(Buffer.from(bytes).toString(), "b");
  },

  async "gives up on an acknowledgement"() {
    const socket = open();
    await next(socket, "connect");
    await assert.rejects(socket.timeout(50).emitWithAck("silence"), /timed out/);
  },

  async "keeps the order of many, also over the upgrade"() {
    const socket = open();
    const got = [];
    const all = new Promise((resolve) => socket.on("echo", (n) => got.push(n) === 500 && resolve()));
    for (let i = 0; i < 500; i++) {
      socket.emit("echo", i);
      if (i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await all;
    assert.deepEqual(got, [...Array(500).keys()]);
  },

  async "upgrades"() {
    if (transports !== "polling,websocket") return;
    const socket = open();
    await next(socket, "connect");
    if (socket.io.engine.transport.name !== "websocket") await next(socket.io.engine, "upgrade");
    assert.equal(socket.io.engine.transport.name, "websocket");
    assert.deepEqual(await socket.emitWithAck("answer", 1), [1]);
  },

  async "has namespaces on one connection"() {
    const manager = open("/").io;
    const other = manager.socket("/other", {});
    await next(other, "connect");
    assert.deepEqual(await other.emitWithAck("where"), "/other");
    assert.deepEqual(await manager.socket("/").emitWithAck("where"), "/");
    other.disconnect();
    assert.deepEqual(await manager.socket("/").emitWithAck("where"), "/");
  },

  async "is told why it is refused"() {
    const socket = open("/refusing", { auth: { token: "x" } });
    const [error] = await next(socket, "connect_error");
    assert.equal(error.message, "not you");
    assert.deepEqual(error.data, { token: "x" });
    assert.equal(socket.active, false);
    const unknown = open("/unknown");
    const [reason] = await next(unknown, "connect_error");
    assert.equal(reason.message, "Invalid namespace");
  },

  async "asks for the credentials at each connection"() {
    let asked = 0;
    const socket = open("/refusing", { auth: (give) => give({ token: ++asked, let: asked > 1 }) });
    await next(socket, "connect_error");
    socket.connect();
    await next(socket, "connect");
    assert.equal(asked, 2);
  },

  async "is disconnected by the server"() {
    const socket = open();
    socket.emit("kick me");
    const [reason] = await next(socket, "disconnect");
    assert.equal(reason, "io server disconnect");
    assert.equal(socket.active, false);
    socket.connect();
    await next(socket, "connect");
  },

  async "disconnects"() {
    const socket = open();
    await next(socket, "connect");
    const gone = next(socket, "disconnect");
    socket.disconnect();
    assert.deepEqual(await gone, ["io client disconnect", undefined]);
    assert.equal(socket.disconnected, true);
  },

  async "connects again, and sends what has waited"() {
    const socket = open();
    await next(socket, "connect");
    const reconnected = next(socket.io, "reconnect");
    const gone = next(socket, "disconnect");
    socket.io.engine.transport.abort();
    assert.match((await gone)[0], /^transport (close|error)$/);
    socket.emit("echo", "kept");
    socket.volatile.emit("echo", "dropped");
    socket.emit("echo", "kept too");
    const got = [];
    const both = new Promise((resolve) => socket.on("echo", (text) => got.push(text) === 2 && resolve()));
    await reconnected;
    await both;
    assert.deepEqual(got, ["kept", "kept too"]);
  },

  async "bounds what waits"() {
    const socket = io(url, options({ autoConnect: false, offlinePackets: 2 }));
    socket.emit("a").emit("b");
    assert.throws(() => socket.emit("c"), /offlinePackets/);
    const dropping = io(url, options({ autoConnect: false, offlinePackets: 2, offlinePolicy: "drop-oldest" }));
    dropping.emit("a").emit("b").emit("c");
    assert.deepEqual(dropping.sendBuffer.map((packet) => packet.data[0]), ["b", "c"]);
    const refused = dropping.timeout(1000).emitWithAck("d");
    dropping.emit("e").emit("f");
    await assert.rejects(refused, /dropped/);
    for (const one of [socket, dropping]) one.disconnect();
  },

  async "fails acknowledgements that cannot come"() {
    const socket = open();
    await next(socket, "connect");
    const waiting = socket.timeout(10_000).emitWithAck("silence");
    socket.disconnect();
    await assert.rejects(waiting, /disconnected/);
  },

  async "retries until it is acknowledged"() {
    const socket = open("/", { retries: 3, ackTimeout: 100 });
    const got = await new Promise((resolve) => socket.emit("third time", `${Math.random()}`, (error, tries) => resolve([error, tries])));
    assert.deepEqual(got, [null, 3]);
  },

  async "hears everything, and off hears nothing"() {
    const socket = open();
    const heard = [];
    const said = [];
    socket.onAny((event) => heard.push(event));
    socket.onAnyOutgoing((event) => said.push(event));
    const listener = () => heard.push("never");
    socket.on("echo", listener).off("echo", listener);
    socket.emit("echo", 1);
    await next(socket, "echo");
    assert.deepEqual([heard, said], [["echo"], ["echo"]]);
    assert.throws(() => socket.emit("connect"), /reserved/);
  },

  async "says what is wrong with an address"() {
    const socket = io("http://127.0.0.1:1", options({ reconnection: false }));
    const [error] = await next(socket, "connect_error");
    assert.match(error.message, /error/);
    socket.disconnect();
  },

  async "takes large messages"() {
    const socket = open();
    const text = "x".repeat(400_000);
    assert.deepEqual(await socket.emitWithAck("answer", text, text.slice(1)), [text, text.slice(1)]);
    const bytes = new Uint8Array(300_000).fill(7);
    const [echoed] = await socket.emitWithAck("answer", bytes);
    assert.equal(echoed.byteLength, 300_000);
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error("timeout")), 8000)));
  try {
    await Promise.race([check(), late]);
    console.log(JSON.stringify({ name, ok: true }));
  } catch (error) {
    failed += 1;
    console.log(JSON.stringify({ name, ok: false, error: String(error.stack).slice(0, 800) }));
  }
  clearTimeout(timer);
  for (const socket of sockets.splice(0)) socket.disconnect();
}
setTimeout(() => process.exit(failed ? 1 : 0), 50);
