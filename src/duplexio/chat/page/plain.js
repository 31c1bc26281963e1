// The plain page, for browsers without WebSockets or modules: ECMAScript 3 and XMLHttpRequest only.
// In the main page this file is loaded by such browsers only, and sends them to the plain one.
(function () {
  if (!document.getElementById("say")) {
    location.replace("/plain" + location.search);
    return;
  }

  var session = "", after = 0, failures = 0, queue = [], sending = false, name, room;

  function element(id) { return document.getElementById(id); }

  function say(text) { element("status").firstChild.nodeValue = text; }

  function show(line) {
    var row = document.createElement("div"), log = element("log");
    row.appendChild(document.createTextNode(line));
    log.appendChild(row);
    while (log.childNodes.length > 500) log.removeChild(log.firstChild);
    log.scrollTop = log.scrollHeight;
  }

  function visible(id, is) { element(id).style.display = is ? "" : "none"; }

  function request(method, path, body, done) {
    var xhr = window.XMLHttpRequest ? new XMLHttpRequest() : new ActiveXObject("Microsoft.XMLHTTP");
    xhr.open(method, path, true);
    if (body !== null) xhr.setRequestHeader("Content-Type", "application/x-www-form-urlencoded");
    xhr.onreadystatechange = function () {
      if (xhr.readyState === 4) {
        xhr.onreadystatechange = function () {};
        done(xhr.status, xhr.responseText);
      }
    };
    xhr.send(body);
  }

  function enter() {
    say("Entering…");
    request("POST", "/poll/enter", "name=" + encodeURIComponent(name) + "&room=" + encodeURIComponent(room),
      function (status, text) {
        if (status === 200) {
          session = encodeURIComponent(text.replace(/\s/g, ""));
          after = 0;
          failures = 0;
          say("Connected as " + name + " in " + (room || "lobby") + ".");
          visible("entry", false);
          visible("say", true);
          visible("log", true);
          element("text").focus();
          poll();
          flush();
        } else if (status >= 400 && status !== 503) {
          visible("entry", true);
          visible("say", false);
          say(text);
        } else {
          again(enter, text);
        }
      });
  }

  function again(what, text) {
    failures += 1;
    var seconds = Math.min(30, Math.pow(2, failures)) * (0.5 + Math.random() / 2);
    say((text || "The connection is lost.") + " Trying again in " + Math.ceil(seconds) + " seconds.");
    setTimeout(what, seconds * 1000);
  }

  function poll() {
    // Old browsers would answer a repeated address from their cache.
    var path = "/poll/events?session=" + session + "&after=" + after + "&t=" + new Date().getTime();
    request("GET", path, null, function (status, text) {
      var lines, i;
      if (!session) return;
      if (status === 200) {
        lines = text.split("\n");
        after = lines[0];
        for (i = 1; i < lines.length; i += 1) if (lines[i]) show(decodeURIComponent(lines[i]));
        failures = 0;
        setTimeout(poll, 0);
      } else if (status === 404) {
        session = "";
        enter();
      } else if (failures < 3) {
        again(poll, "");
      } else {
        session = "";
        again(enter, "");
      }
    });
  }

  function flush() {
    var item;
    if (sending || !session || !queue.length) return;
    item = queue.shift();
    sending = true;
    request("POST", "/poll/send?session=" + session, item.body, function (status, text) {
      sending = false;
      if (status === 204 || status === 1223) {  // which Internet Explorer makes of 204
        if (item.line) show(item.line);
        flush();
      } else if (status >= 400 && status !== 404 && status !== 503) {
        say("Not sent: " + text);
        flush();
      } else {
        queue.unshift(item);
        setTimeout(flush, 2000);
      }
    });
  }

  function post(text, line) {
    var id = "", i;
    for (i = 0; i < 20; i += 1) id += Math.floor(Math.random() * 16).toString(16);
    queue.push({ body: "id=" + id + "&text=" + encodeURIComponent(text), line: line });
    flush();
  }

  element("entry").onsubmit = function () {
    name = element("name").value;
    room = element("room").value;
    failures = 0;
    enter();
    return false;
  };

  element("say").onsubmit = function () {
    var text = element("text").value;
    element("text").value = "";
    if (/\S/.test(text)) post(text, name + ":" + text);
    return false;
  };

  element("leave").onclick = function () {
    post("quit", "");
    session = "";
    queue = [];
    visible("say", false);
    visible("entry", true);
    say("You have left.");
  };

  visible("say", false);
  visible("log", false);
  say("Join a room to begin.");
  var wanted = /[?&]room=([^&]*)/.exec(location.search);
  if (wanted) element("room").value = decodeURIComponent(wanted[1].replace(/\+/g, " "));
  element("name").focus();
}());
