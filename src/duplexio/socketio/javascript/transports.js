// How messages travel: polling requests, and a WebSocket. Engine.IO, protocol 4.

import { Emitter } from "./emitter.js";
import { isBinary } from "./parser.js";

const SEPARATOR = "\x1e";

function toBase64(data) {
  const bytes =
    data instanceof ArrayBuffer
      ? new Uint8Array(data)
      : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let text = "";
  // In pieces: a function takes only so many arguments.
  for (let i = 0; i < bytes.length; i += 0x8000) {
    text += String.fromCharCode.apply(null, bytes.subarray(i, i + 0x8000));
  }
  return btoa(text);
}

function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes.buffer;
}

async function encodePacket(packet) {
  if (!isBinary(packet.data)) return packet.type + (packet.data === undefined ? "" : packet.data);
  const data = packet.data;
  const whole = typeof Blob !== "undefined" && data instanceof Blob ? await data.arrayBuffer() : data;
  return `b${toBase64(whole)}`;
}

function decodePacket(text) {
  if (text[0] === "b") return { type: "4", data: fromBase64(text.slice(1)) };
  if (!/^[0-6]/.test(text)) throw new Error(`no packet: ${text.slice(0, 40)}`);
  return { type: text[0], data: text.slice(1) };
}

// Events: open, packet, drain, close(reason text), error(Error).
class Transport extends Emitter {
  constructor(options, query) {
    super();
    this.options = options;
    this.query = query;
    this.writable = false;
    this.closed = false;
  }

  address(scheme) {
    const { secure, host, path } = this.options;
    const query = new URLSearchParams({ ...this.options.query, EIO: "4", transport: this.name, ...this.query });
    if (this.name === "polling" || this.options.timestampRequests) {
      query.set(this.options.timestampParam || "t", Date.now().toString(36) + Math.random().toString(36).slice(2, 6));
    }
    return `${scheme}${secure ? "s" : ""}://${host}${path}?${query}`;
  }

  fail(message, context) {
    if (this.closed) return;
    const error = new Error(message);
    error.type = "TransportError";
    error.context = context;
    this._emitReserved("error", error);
    this.abort();
  }

  ended(details) {
    if (this.closed) return;
    this.closed = true;
    this.writable = false;
    this._emitReserved("close", details);
  }
}

export class Polling extends Transport {
  get name() {
    return "polling";
  }

  open() {
    this._abort = new AbortController();
    this._polling = false;
    this._paused = false;
    this._poll();
  }

  async _request(method, body) {
    const { withCredentials, extraHeaders } = this.options;
    const headers = { ...extraHeaders };
    if (body !== undefined) headers["Content-type"] = "text/plain;charset=UTF-8";
    const response = await fetch(this.address("http"), {
      method,
      body,
      headers,
      cache: "no-store",
      credentials: withCredentials ? "include" : "same-origin",
      signal: this._abort.signal,
    });
    const text = await response.text();
    if (!response.ok) throw Object.assign(new Error(`HTTP ${response.status}: ${text}`), { status: response.status, text });
    return text;
  }

  async _poll() {
    this._polling = true;
    let text;
    try {
      text = await this._request("GET");
    } catch (error) {
      this._polling = false;
      this.fail("xhr poll error", error);
      return;
    }
    this._polling = false;
    if (this.closed) return;
    for (const piece of text.split(SEPARATOR)) {
      let packet;
      try {
        packet = decodePacket(piece);
      } catch (error) {
        this.fail("parse error", error);
        return;
      }
      if (!this.query.sid && packet.type === "0") this.writable = true;
      if (packet.type === "1") {
        this.ended({ description: "transport closed by the server" });
        return;
      }
      this._emitReserved("packet", packet);
      if (this.closed) return;
    }
    if (this._whenIdle && !this._busy) this._whenIdle();
    else if (!this._paused) this._poll();
  }

  async send(packets) {
    this.writable = false;
    this._busy = true;
    try {
      const pieces = [];
      for (const packet of packets) pieces.push(await encodePacket(packet));
      await this._request("POST", pieces.join(SEPARATOR));
    } catch (error) {
      this._busy = false;
      this.fail("xhr post error", error);
      return;
    }
    this._busy = false;
    if (this.closed) return;
    if (this._whenIdle && !this._polling) {
      this._whenIdle();
      return;
    }
    this.writable = !this._paused;
    this._emitReserved("drain");
  }

  // Stop asking; call back when the requests on their way have been answered.
  pause(done) {
    this._paused = true;
    this.writable = false;
    this._whenIdle = () => {
      this._whenIdle = null;
      done();
    };
    if (!this._polling && !this._busy) this._whenIdle();
  }

  // Say goodbye, and be gone.
  close() {
    if (this.closed) return;
    this._paused = true;
    if (this.query.sid) {
      // A request that outlives the page; nobody waits for its answer.
      fetch(this.address("http"), {
        method: "POST",
        body: "1",
        keepalive: true,
        headers: { ...this.options.extraHeaders, "Content-type": "text/plain;charset=UTF-8" },
        credentials: this.options.withCredentials ? "include" : "same-origin",
      }).catch(() => {});
    }
    this.abort();
  }

  abort() {
    const details = { description: "polling ended" };
    this.ended(details);
    this._abort.abort();
  }
}

export class WebSocketTransport extends Transport {
  get name() {
    return "websocket";
  }

  open() {
    const WebSocketClass = this.options.WebSocket || globalThis.WebSocket;
    if (!WebSocketClass) {
      queueMicrotask(() => this.fail("websocket error", new Error("there is no WebSocket here")));
      return;
    }
    let socket;
    try {
      socket = new WebSocketClass(this.address("ws"), this.options.protocols || []);
    } catch (error) {
      queueMicrotask(() => this.fail("websocket error", error));
      return;
    }
    this._socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.writable = true;
      this._emitReserved("open");
    };
    socket.onmessage = ({ data }) => {
      let packet = { type: "4", data };
      if (typeof data === "string") {
        try {
          packet = decodePacket(data);
        } catch (error) {
          this.fail("parse error", error);
          return;
        }
      }
      this._emitReserved("packet", packet);
    };
    socket.onerror = (event) => this.fail("websocket error", event);
    socket.onclose = ({ code, reason }) => this.ended({ description: `websocket closed: ${code} ${reason || ""}`.trim(), code, reason });
  }

  get congested() {
    return Boolean(this._socket && this._socket.bufferedAmount > 0);
  }

  send(packets) {
    for (const { type, data } of packets) {
      try {
        this._socket.send(isBinary(data) ? data : type + (data === undefined ? "" : data));
      } catch (error) {
        this.fail("websocket error", error);
        return;
      }
    }
    // As a microtask, so that what sends in a loop does not recur.
    queueMicrotask(() => {
      if (!this.closed) this._emitReserved("drain");
    });
  }

  close() {
    if (this.closed) return;
    const socket = this._socket;
    this.ended({ description: "closed by the client" });
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      // One that is still connecting tells of an error when it is closed.
      socket.onerror = () => {};
      socket.close();
    }
  }

  abort() {
    this.close();
  }
}
