// Makes each operation of the page callable. The key stays in the memory of this page: it is written to no
// storage, no address and no curl command, and goes to nobody but the server that the page came from.
"use strict";

const base = new URL(".", document.baseURI);
const maxShownCharacters = 200_000;
let apiKey = "";

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function field(text, input) {
  return element("label", {}, text, input);
}

function addKeyField() {
  const input = element("input", { type: "password", autocomplete: "off", placeholder: "dk_…" });
  input.id = "api-key";
  input.addEventListener("input", () => { apiKey = input.value.trim(); });
  document.getElementById("key").append(
    field("API key, to try the calls. It is kept until you close or reload the page.", input),
  );
}

function quoted(word) {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

class Trial {
  constructor(section) {
    this.call = JSON.parse(section.dataset.operation);
    this.curl = section.querySelector(".curl");
    this.inputs = new Map();
    this.stop = null;
    const form = element("div", { className: "try" });
    for (const parameter of this.call.parameters) {
      form.append(this.parameterField(parameter));
    }
    this.addBody(form);
    this.button = element("button", { type: "button", textContent: "Send" });
    this.button.addEventListener("click", () => this.toggle());
    this.status = element("p", { role: "status" });
    this.output = element("pre", { hidden: true });
    form.append(this.button, this.status, this.output);
    form.addEventListener("input", () => this.showCurl());
    const details = element("details", {}, element("summary", { textContent: "Try it" }), form);
    details.addEventListener("toggle", () => this.showCurl());
    this.curl.after(details);
  }

  parameterField(parameter) {
    const input = element("input", { autocomplete: "off", required: parameter.required });
    if (parameter.required && parameter.example !== null) {
      input.value = String(parameter.example);
    } else if (parameter.example !== null) {
      input.placeholder = String(parameter.example);
    }
    this.inputs.set(parameter, input);
    return field(`${parameter.name} (${parameter.in}${parameter.required ? "" : ", optional"})`, input);
  }

  addBody(form) {
    if (this.call.mediaType === "multipart/form-data") {
      this.file = element("input", { type: "file" });
      form.append(field("file", this.file));
    } else if (this.call.mediaType !== null) {
      this.body = element("textarea", { spellcheck: false });
      this.body.value = this.call.body === null ? "" : JSON.stringify(this.call.body, null, 2);
      this.body.setAttribute("aria-label", "Body");
      form.append(this.body);
    }
  }

  // What the fields say: the address, and the headers without the key.
  request() {
    let path = this.call.path.slice(1);
    const query = new URLSearchParams();
    const headers = [];
    for (const [parameter, input] of this.inputs) {
      if (parameter.in === "path") {
        path = path.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      } else if (input.value !== "" && parameter.in === "query") {
        query.append(parameter.name, input.value);
      } else if (input.value !== "") {
        headers.push([parameter.name, input.value]);
      }
    }
    if (this.body !== undefined) {
      headers.push(["Content-Type", this.call.mediaType === "*/*" ? "application/json" : this.call.mediaType]);
    }
    const url = new URL(path, base);
    url.search = query.toString();
    return { url, headers };
  }

  showCurl() {
    const { url, headers } = this.request();
    const words = [`curl -X ${this.call.method} ${quoted(url.href)}`];
    if (this.call.keyed) {
      words.push('-H "Authorization: Bearer $API_KEY"');
    }
    for (const [name, value] of headers) {
      words.push(`-H ${quoted(`${name}: ${value}`)}`);
    }
    if (this.file !== undefined) {
      words.push(`-F ${quoted(`file=@${this.file.files[0]?.name ?? "image.png"}`)}`);
    } else if (this.body !== undefined) {
      words.push(`-d ${quoted(this.body.value)}`);
    }
    this.curl.textContent = words.join(" \\\n  ");
  }

  toggle() {
    if (this.stop === null) {
      this.send();
    } else {
      this.stop.abort();
    }
  }

  async send() {
    this.stop = new AbortController();
    this.button.textContent = "Stop";
    this.status.className = "";
    this.status.textContent = "…";
    this.output.hidden = true;
    this.output.textContent = "";
    try {
      await this.show(await this.fetch());
    } catch (error) {
      this.status.className = "failed";
      this.status.textContent = error.name === "AbortError" ? "Stopped." : `No response: ${error.message}`;
    } finally {
      this.stop = null;
      this.button.textContent = "Send";
    }
  }

  fetch() {
    const { url, headers } = this.request();
    if (this.call.keyed && apiKey !== "") {
      headers.push(["Authorization", `Bearer ${apiKey}`]);
    }
    let body;
    if (this.file !== undefined) {
      body = new FormData();
      if (this.file.files.length > 0) {
        body.append("file", this.file.files[0]);
      }
    } else if (this.body !== undefined) {
      body = this.body.value;
    }
    return fetch(url, {
      method: this.call.method,
      headers,
      body,
      signal: this.stop.signal,
      credentials: "omit",
      cache: "no-store",
    });
  }

  async show(response) {
    this.status.className = response.ok ? "" : "failed";
    this.status.textContent = `${response.status} ${response.statusText}`;
    this.output.hidden = false;
    this.output.textContent = [...response.headers].map(([name, value]) => `${name}: ${value}\n`).join("") + "\n";
    const type = response.headers.get("content-type") ?? "";
    if (type.includes("json")) {
      this.append(pretty(await response.text()));
    } else if (type.startsWith("text/")) {
      await this.appendStream(response.body);
    } else {
      this.append(`(${(await response.blob()).size} bytes)`);
    }
  }

  // An event stream is shown as it comes, until it ends or is stopped.
  async appendStream(stream) {
    const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || !this.append(value)) {
        return;
      }
    }
  }

  append(text) {
    const room = maxShownCharacters - this.output.textContent.length;
    this.output.append(text.slice(0, Math.max(0, room)));
    return room > text.length;
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

addKeyField();
for (const section of document.querySelectorAll("[data-operation]")) {
  new Trial(section);
}
