// duplexio.js: a Socket.IO client for browsers and Node, with the names of socket.io-client.

import { Manager } from "./manager.js";
import { Socket } from "./socket.js";

// Managers by origin and path, shared by the namespaces of a server.
const managers = new Map();

// Connect to a namespace: io("https://host/namespace", options). Without a URL, to the page's host.
export function io(uri, options = {}) {
  if (uri && typeof uri === "object") {
    options = uri;
    uri = undefined;
  }
  const here = typeof location === "undefined" ? "http://localhost" : location.href;
  const text = (uri || "/").replace(/^ws(s?):/, "http$1:");
  // "host:port" without a scheme, as socket.io-client takes it.
  const address = new URL(/^(https?:|\/)/.test(text) ? text : `http://${text}`, here);
  const nsp = address.pathname || "/";
  const path = options.path || "/socket.io";
  const key = `${address.origin}${path}`;
  const shared = managers.get(key);
  const fresh =
    options.forceNew || options.multiplex === false || (shared && shared.nsps.has(nsp));
  let manager;
  if (fresh) {
    manager = new Manager(address.origin + address.search, options);
  } else {
    manager = shared || new Manager(address.origin + address.search, options);
    managers.set(key, manager);
  }
  return manager.socket(nsp, options);
}

// The version of the Socket.IO protocol.
export const protocol = 5;
export const connect = io;

Object.assign(io, { Manager, Socket, io, connect, protocol });
