// Listeners by event name.

export class Emitter {
  constructor() {
    this._listeners = new Map();
  }

  on(event, listener) {
    const listeners = this._listeners.get(event);
    if (listeners) listeners.push(listener);
    else this._listeners.set(event, [listener]);
    return this;
  }

  once(event, listener) {
    const once = (...args) => {
      this.off(event, once);
      listener.apply(this, args);
    };
    once.listener = listener;
    return this.on(event, once);
  }

  off(event, listener) {
    if (event === undefined) {
      this._listeners.clear();
      return this;
    }
    const listeners = this._listeners.get(event);
    if (!listeners) return this;
    const rest = listener === undefined
      ? []
      : listeners.filter((one) => one !== listener && one.listener !== listener);
    if (rest.length) this._listeners.set(event, rest);
    else this._listeners.delete(event);
    return this;
  }

  listeners(event) {
    return (this._listeners.get(event) || []).map((one) => one.listener || one);
  }

  hasListeners(event) {
    return this._listeners.has(event);
  }

  // Call the listeners of an event. A listener that removes itself does not disturb the others.
  _emitReserved(event, ...args) {
    const listeners = this._listeners.get(event);
    if (listeners) for (const listener of [...listeners]) listener.apply(this, args);
    return this;
  }
}

Emitter.prototype.addListener = Emitter.prototype.on;
Emitter.prototype.addEventListener = Emitter.prototype.on;
Emitter.prototype.removeListener = Emitter.prototype.off;
Emitter.prototype.removeEventListener = Emitter.prototype.off;
Emitter.prototype.removeAllListeners = Emitter.prototype.off;
