// What is tried with a Socket.IO client of any generation, in Node or in a browser.
// usage: socketioChecks({ io, generation, url, transports, ... }) resolves to { check: null | error }
"use strict";

const socketioChecks = async (environment) => {
  const { io, generation, url, transports, options = {}, polls = false, brief = false } = environment;
  const old = generation < 3; // Engine.IO 3
  const binary = typeof Buffer === "undefined" ? (bytes) => new Uint8Array(bytes).buffer : Buffer.from;
  const sockets = [];
  let tokens = 0;
  const run = Math.random().toString(36).slice(2);

  // Bytes become text, whatever holds them.
  const plain = (value) => {
    if (value instanceof ArrayBuffer) value = new Uint8Array(value);
    if (ArrayBuffer.isView(value)) return "bytes:" + Array.from(value);
    if (Array.isArray(value)) return value.map(plain);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.keys(value).sort().map((key) => [key, plain(value[key])]));
  };
  const equal = (got, wanted, what = "") => {
    const [a, b] = [got, wanted].map((value) => JSON.stringify(plain(value)));
    if (a !== b) throw new Error(`${what} got ${a}, expected ${b}`);
  };
  const within = (promise, what, seconds = 15) => {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`nothing came: ${what}`)), seconds * 1000);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  };
  const next = (socket, event) =>
    within(new Promise((resolve) => socket.once(event, (...args) => resolve(args))), event);
  const ask = (socket, event, ...args) =>
    within(
      new Promise((resolve) => socket.emit(event, ...args, (...answer) => resolve(answer))),
      `the answer to ${event}`,
    );
  const create = (namespace = "/", query = {}, more = {}) => {
    const words = { token: `${run}-${++tokens}`, ...query };
    const settings = { transports, forceNew: true, reconnection: false, query: words, ...options };
    const socket = io(url + namespace, { ...settings, ...more });
    socket.token = words.token;
    sockets.push(socket);
    return socket;
  };
  // Connect to a namespace of the same connection.
  const beside = (socket, namespace, auth = {}) => {
    if (!old) return socket.io.socket(namespace, { auth });
    return socket.io.socket(namespace, { query: new URLSearchParams(auth).toString() });
  };
  const connected = (socket) =>
    within(
      new Promise((resolve, reject) => {
        socket.once("connect", () => resolve(socket));
        socket.once("connect_error", (error) => reject(new Error(`connect_error: ${error}`)));
        socket.once("error", (error) => reject(new Error(`error: ${JSON.stringify(error)}`)));
      }),
      "connect",
    );
  const settled = async (socket) => {
    await connected(socket);
    const last = polls ? "polling" : transports[transports.length - 1];
    const { engine } = socket.io;
    if (engine.transport.name !== last) {
      await within(new Promise((resolve) => engine.once("upgrade", resolve)), "upgrade");
    }
    equal(engine.transport.name, last, "transport");
    return socket;
  };
  const open = (...args) => settled(create(...args));
  const refused = (socket) =>
    within(
      new Promise((resolve, reject) => {
        socket.once("connect", () => reject(new Error("was not refused")));
        if (old) socket.once("error", resolve);
        else
          socket.once("connect_error", ({ message, data }) =>
            resolve(data === undefined ? { message } : { message, data }),
          );
      }),
      "the refusal",
    );
  // A refusal with data is the data alone to old clients, and the message where it has to be text.
  const refusal = (message, data) => {
    if (old) return data === undefined || brief ? message : data;
    return data === undefined ? { message } : { message, data };
  };

  // (In a browser the clients 1.x fail on text of some 100 KB in one answer.)
  const texts = ["", "é€😀", "\u2028\u2029\u0000\\n\n\"'", "x".repeat(20000), "漢字", "\x1e1:2"];
  const json = { a: [1, 2.5, -3, true, null, { b: {} }], "": "", "ключ": "значение", e: [] };
  const checks = {
    async events() {
      const socket = create();
      const welcome = next(socket, "welcome");
      await settled(socket);
      equal(await welcome, [{ transport: transports[0] }]);
      for (const args of [[], [1], ["a", "b"], [json, [json], null, 0, false]]) {
        socket.emit("echo", ...args);
        equal(await next(socket, "echo"), args);
      }
      equal((await ask(socket, "transport"))[0], polls ? "polling" : transports[transports.length - 1]);
    },
    async unicode() {
      const socket = await open();
      for (const text of texts) {
        socket.emit("echo", text, { [text]: text });
        equal(await next(socket, "echo"), [text, { [text]: text }]);
        // What was wrong on both ways would look right.
        equal(await ask(socket, "codes", text), [Array.from(text, (letter) => letter.codePointAt(0))]);
      }
    },
    async acks() {
      const socket = await open();
      equal(await ask(socket, "ack"), []);
      equal(await ask(socket, "ack", 1), [1]);
      equal(await ask(socket, "ack", json, "two", null), [json, "two", null]);
      socket.on("question", (...args) => {
        args.pop()(...args.reverse());
      });
      for (const event of ["ask", "ask_by_callback"]) {
        equal(await ask(socket, event, 1), [1]);
        equal(await ask(socket, event, 1, "zwei", { three: 3 }), [{ three: 3 }, "zwei", 1]);
      }
      const many = Array.from({ length: 200 }, (_, i) => i);
      equal(await Promise.all(many.map((i) => ask(socket, "ack", i))), many.map((i) => [i]));
    },
    async binary() {
      const socket = await open();
      const large = binary(Array.from({ length: 100000 }, (_, i) => i % 256));
      const sets = [
        [binary([0, 1, 2, 255, 4, 30])],
        [binary([])],
        [{ a: [binary([1]), { b: binary([2, 3]) }], c: "text" }, binary([4]), 5],
        [large, "between", { large }],
        [...Array(10).keys()].map((i) => binary([i])),
      ];
      socket.on("question", (...args) => {
        args.pop()(...args.reverse());
      });
      for (const args of sets) {
        socket.emit("echo", ...args);
        equal(await next(socket, "echo"), args);
        equal(await ask(socket, "ack", ...args), args);
        equal(await ask(socket, "ask", ...args), args.slice().reverse());
      }
      // Events with attachments in a row, and text in between.
      const received = [];
      socket.on("echo", (...args) => received.push(args));
      const row = [...Array(30).keys()].map((i) => (i % 3 ? [i, binary([i])] : [i]));
      for (const args of row) socket.emit("echo", ...args);
      await ask(socket, "ack");
      await ask(socket, "ack");
      equal(received, row);
    },
    async namespaces() {
      const socket = await open();
      const admin = await connected(beside(socket, "/admin", { key: "secret" }));
      equal(await ask(admin, "ack", 1), ["admin", 1]);
      const room = await connected(beside(socket, "/room-17"));
      equal(await ask(room, "ack", binary([1])), ["/room-17", binary([1])]);
      equal(await ask(socket, "ack", 2), [2]);
      // The clients 1.x have one id for all namespaces.
      const ids = new Set([socket.id, admin.id, room.id]);
      equal(ids.size, generation === 1 ? 1 : 3, "ids");
      // One namespace ends, the others go on.
      const over = next(admin, "disconnect");
      admin.emit("kick");
      equal((await over)[0], "io server disconnect");
      equal(await ask(room, "ack"), ["/room-17"]);
      room.close();
      equal(await ask(socket, "ack", 3), [3]);
      // Straight to a namespace, with a connection of its own.
      const [path, more] = old ? ["/admin?key=secret", {}] : ["/admin", { auth: { key: "secret" } }];
      const straight = create(path, { key: "secret" }, more);
      await settled(straight);
      equal(await ask(straight, "ack", "é"), ["admin", "é"]);
    },
    async refusals() {
      const socket = await open();
      equal(
        await refused(beside(socket, "/admin", { key: "wrong" })),
        refusal("who are you?", { code: 401 }),
      );
      equal(await refused(beside(socket, "/closed")), refusal("Connection rejected by server"));
      equal(await refused(beside(socket, "/nowhere")), refusal("Invalid namespace"));
      equal(await ask(socket, "ack", 1), [1]);
      const words = { code: 7, words: ["a", "é"] };
      equal(await refused(create("/", { refuse: 1 })), refusal("not today", words));
    },
    async rooms() {
      const members = await Promise.all([open(), open(), open()]);
      const [a, b, c] = members;
      const heard = members.map(() => []);
      members.forEach((socket, i) => socket.on("said", (text) => heard[i].push(text)));
      const room = `room ${run} é`;
      const all = async () => {
        for (const socket of members) await ask(socket, "ack");
        for (const socket of members) await ask(socket, "ack");
      };
      equal(await ask(a, "join", room), [[room]]);
      equal(await ask(b, "join", room), [[room]]);
      equal(await ask(b, "join", room + 2), [[room, room + 2]]);
      await ask(c, "say", room, "to both", false);
      await ask(a, "say", room, "but a", true);
      equal(await ask(b, "leave", room), [[room + 2]]);
      await ask(c, "say", room, "to a", false);
      await ask(c, "say", [room, room + 2], binary([1, 2]), false);
      await ask(c, "say", [a.id, c.id], "to two", false);
      await all();
      const over = next(a, "disconnect");
      a.close();
      await over;
      members.shift();
      await ask(c, "say", [room, room + 2], "to b", false);
      await all();
      equal(heard, [
        ["to both", "to a", binary([1, 2]), "to two"],
        ["to both", "but a", binary([1, 2]), "to b"],
        ["to two"],
      ]);
    },
    async reasons() {
      const witness = await open();
      const why = async (socket) => (await ask(witness, "why", socket.token))[0];
      const kicked = await open();
      let reason = next(kicked, "disconnect");
      kicked.emit("kick");
      equal((await reason)[0], "io server disconnect");
      equal(await why(kicked), "server namespace disconnect");
      const leaving = await open();
      reason = next(leaving, "disconnect");
      leaving.close();
      equal((await reason)[0], "io client disconnect");
      equal(await why(leaving), "client namespace disconnect");
      const closed = await open();
      reason = next(closed, "disconnect");
      closed.io.engine.close();
      equal((await reason)[0], "forced close");
      equal(await why(closed), "transport close");
    },
    async order() {
      const socket = create(); // and on goes the upgrade meanwhile
      const count = 300;
      const received = [];
      const complete = new Promise((resolve) => {
        socket.on("number", (value) => {
          received.push(value);
          if (value === count - 1) resolve();
        });
      });
      await connected(socket);
      socket.emit("flood", count);
      for (let i = 0; i < count; i++) {
        socket.emit("number", i);
        if (i % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 1));
      }
      const numbers = [...Array(count).keys()];
      equal(await ask(socket, "counted"), [numbers]);
      await within(complete, "the last number");
      equal(received, numbers);
      if (transports.length > 1 && !polls) equal((await ask(socket, "transport"))[0], "websocket");
    },
  };

  const results = {};
  const one = async (name) => {
    try {
      await checks[name]();
      results[name] = null;
    } catch (error) {
      results[name] = String((error && error.stack) || error);
    }
  };
  if (typeof window === "undefined") {
    await Promise.all(Object.keys(checks).map(one));
    sockets.forEach((socket) => socket.close());
  } else {
    // A browser has six connections to a server, each of which a polling request may hold.
    for (const name of Object.keys(checks)) {
      await one(name);
      sockets.splice(0).forEach((socket) => socket.close());
    }
  }
  return results;
};

if (typeof module !== "undefined") module.exports = socketioChecks;
