// A connection to a server, made again when it breaks; shared by the namespaces.

import { Emitter } from "./emitter.js";
import { Engine } from "./engine.js";
import { logger } from "./log.js";
import { Decoder, PacketType, encode } from "./parser.js";
import { Socket } from "./socket.js";

const DEFAULTS = {
  path: "/socket.io",
  addTrailingSlash: true,
  transports: ["polling", "websocket"],
  upgrade: true,
  tryAllTransports: false,
  rememberUpgrade: false,
  withCredentials: false,
  reconnection: true,
  reconnectionAttempts: Infinity,
  reconnectionDelay: 1000,
  reconnectionDelayMax: 5000,
  randomizationFactor: 0.5,
  timeout: 20_000,
  autoConnect: true,
  maxAttachments: 10,
};

function parseAddress(uri) {
  const here = typeof location === "undefined" ? undefined : location.href;
  const address = new URL(uri.replace(/^ws/, "http"), here);
  return { secure: address.protocol === "https:", host: address.host, query: Object.fromEntries(address.searchParams) };
}

// Events: open, error, ping, close, reconnect_attempt, reconnect, reconnect_error, reconnect_failed.
export class Manager extends Emitter {
  constructor(uri, options = {}) {
    super();
    if (uri && typeof uri === "object") {
      options = uri;
      uri = undefined;
    }
    this.uri = uri || (typeof location === "undefined" ? "http://localhost" : location.origin);
    this.opts = { ...DEFAULTS, ...options };
    const { secure, host, query } = parseAddress(this.uri);
    let path = this.opts.path.replace(/\/$/, "");
    if (this.opts.addTrailingSlash) path += "/";
    this._engineOptions = { ...this.opts, secure, host, path, query: { ...query, ...this.opts.query } };
    this.log = logger("manager");
    this.nsps = new Map();
    this._attempts = 0;
    this._reconnecting = false;
    this._skipReconnect = false;
    this._readyState = "closed";
    this._decoder = new Decoder((packet) => this._packet(packet), this.opts.maxAttachments);
    for (const name of [
      "reconnection",
      "reconnectionAttempts",
      "reconnectionDelay",
      "reconnectionDelayMax",
      "randomizationFactor",
      "timeout",
    ]) {
      this[name] = (value) => {
        if (value === undefined) return this.opts[name];
        this.opts[name] = value;
        return this;
      };
    }
    if (this.opts.autoConnect) this.open();
  }

  open(callback) {
    if (this._readyState !== "closed") return this;
    this.log("opening", this.uri);
    this._readyState = "opening";
    this._skipReconnect = false;
    const engine = new Engine(this._engineOptions);
    this.engine = engine;
    const failed = (error) => {
      this._cleanUp(engine);
      this._readyState = "closed";
      this._emitReserved("error", error);
      if (callback) callback(error);
      else this._maybeReconnectOnOpen();
    };
    let timer;
    if (this.opts.timeout !== false && this.opts.timeout > 0) {
      timer = setTimeout(() => failed(new Error("timeout")), this.opts.timeout);
      if (this.opts.autoUnref && timer.unref) timer.unref();
    }
    this._openTimer = timer;
    engine
      .on("open", () => {
        clearTimeout(timer);
        this._opened(engine);
        if (callback) callback();
      })
      .on("error", (error) => {
        clearTimeout(timer);
        if (this._readyState === "opening") failed(error);
        else this._emitReserved("error", error);
      });
    return this;
  }

  connect(callback) {
    return this.open(callback);
  }

  _opened(engine) {
    this._readyState = "open";
    engine
      .on("ping", () => this._emitReserved("ping"))
      .on("message", (data) => {
        try {
          this._decoder.add(data);
        } catch (error) {
          this._closed("parse error", error);
        }
      })
      .on("close", (reason, details) => this._closed(reason, details));
    this._emitReserved("open");
  }

  // A packet for a namespace. In a task of its own, so that an error in a listener is the page's.
  _packet(packet) {
    const socket = this.nsps.get(packet.nsp);
    if (socket) socket._packet(packet);
  }

  socket(nsp, options) {
    let socket = this.nsps.get(nsp);
    if (!socket) {
      socket = new Socket(this, nsp, options);
      this.nsps.set(nsp, socket);
    } else if (this.opts.autoConnect && !socket.active) {
      socket.connect();
    }
    return socket;
  }

  // A namespace has left: without any the connection ends.
  _leave() {
    for (const socket of this.nsps.values()) if (socket.active) return;
    this._close();
  }

  _send(packet) {
    if (packet.query && packet.type === PacketType.CONNECT) packet.nsp += `?${packet.query}`;
    this.engine.send(...encode(packet));
  }

  _cleanUp(engine) {
    clearTimeout(this._openTimer);
    engine.off();
    engine.close();
    this._decoder.reset();
  }

  _close() {
    this._skipReconnect = true;
    this._reconnecting = false;
    clearTimeout(this._reconnectTimer);
    if (this._readyState === "closed") return;
    if (this._readyState === "opening") {
      this._cleanUp(this.engine);
      this._readyState = "closed";
      return;
    }
    this.engine.close();
  }

  disconnect() {
    return this._close();
  }

  _closed(reason, details) {
    this.log("closed:", reason);
    this._cleanUp(this.engine);
    this._attempts = 0;
    this._readyState = "closed";
    this._emitReserved("close", reason, details);
    if (this.opts.reconnection && !this._skipReconnect) this._reconnect();
  }

  _maybeReconnectOnOpen() {
    if (!this._reconnecting && this.opts.reconnection && this._attempts === 0) this._reconnect();
  }

  _delay() {
    const { reconnectionDelay, reconnectionDelayMax, randomizationFactor } = this.opts;
    let delay = reconnectionDelay * 2 ** Math.min(this._attempts, 30);
    // So that the clients of a server that was restarted do not come all at once.
    delay *= 1 + (Math.random() * 2 - 1) * randomizationFactor;
    return Math.min(Math.floor(delay), reconnectionDelayMax);
  }

  _reconnect() {
    if (this._reconnecting || this._skipReconnect) return;
    if (this._attempts >= this.opts.reconnectionAttempts) {
      this._attempts = 0;
      this._reconnecting = false;
      this._emitReserved("reconnect_failed");
      return;
    }
    const delay = this._delay();
    this._attempts += 1;
    this._reconnecting = true;
    this.log("reconnecting in", delay, "ms");
    this._reconnectTimer = setTimeout(() => {
      if (this._skipReconnect) return;
      this._emitReserved("reconnect_attempt", this._attempts);
      if (this._skipReconnect) return; // a listener may have closed it
      this.open((error) => {
        this._reconnecting = false;
        if (error) {
          this._reconnect();
          this._emitReserved("reconnect_error", error);
          return;
        }
        const attempts = this._attempts;
        this._attempts = 0;
        this._emitReserved("reconnect", attempts);
      });
    }, delay);
    if (this.opts.autoUnref && this._reconnectTimer.unref) this._reconnectTimer.unref();
  }
}
