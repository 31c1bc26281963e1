// Logs for who asks for them: localStorage.debug = "duplexio*" in a browser, DEBUG=duplexio* in Node.

function wanted() {
  try {
    if (typeof localStorage !== "undefined" && localStorage.debug) return localStorage.debug;
  } catch {
    // a page that may not use its storage
  }
  return (typeof process !== "undefined" && process.env && process.env.DEBUG) || "";
}

function matches(name) {
  return wanted()
    .split(/[\s,]+/)
    .filter(Boolean)
    .some((pattern) => {
      const expression = pattern.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*");
      return new RegExp(`^${expression}$`).test(name);
    });
}

export function logger(part) {
  const name = `duplexio:${part}`;
  return matches(name) ? (...args) => console.debug(`${name}`, ...args) : () => {};
}
