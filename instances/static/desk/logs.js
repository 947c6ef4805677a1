// The log of an instance: read, searched, followed, saved. Lines are text and never anything else.
import { answerUrl, ask } from "./ask.js";
import { painted } from "./paint.js";

const FOLLOW_EVERY = 2000;
const MOST_READ = 10000;
const MOST_SHOWN = 20000;
const LEFT_OUT = "… lines are left out here: the log grew by more than is read at once …";
const STAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z) ?/;

function parse(line) {
  const stamp = STAMP.exec(line);
  const pieces = painted(stamp ? line.slice(stamp[0].length) : line);
  return { at: stamp ? stamp[1] : "", text: pieces.map((piece) => piece.text).join(""), pieces };
}

// What a log has grown by since the line of `last`. More than was read is not passed over in silence.
export function grown({ answer, last }) {
  const found = answer.lines.map(parse);
  const isCut = answer.truncated || found.length >= MOST_READ;
  const known = found.findLastIndex((line) => line.at === last);
  if (known >= 0) {
    return found.slice(known + 1); // whatever their times: an engine's clock may be set back
  }
  const gap = isCut && found.length && found[0].at > last ? [parse(LEFT_OUT)] : [];
  return [...gap, ...found.filter((line) => !line.at || line.at > last)];
}

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

// The pieces of a line in their colours; what lies between two places is marked.
function marked(pieces, from, to) {
  let place = 0;
  const made = pieces.flatMap(({ text, className }) => {
    const [begin, end] = [from, to].map((edge) => Math.min(Math.max(edge - place, 0), text.length));
    place += text.length;
    return [
      element("span", text.slice(0, begin), className),
      element("mark", text.slice(begin, end), ""),
      element("span", text.slice(end), className),
    ].filter((part) => part.textContent);
  });
  return made.length ? made : [" "];
}

class LogView {
  constructor(section) {
    this.url = section.dataset.logs;
    this.form = section.querySelector("[data-log-form]");
    this.place = section.querySelector("[data-log-lines]");
    this.state = section.querySelector("[data-log-state]");
    this.button = section.querySelector("[data-log-download]");
    this.lines = [];
    this.last = "";
    this.busy = false;
    this.listen();
  }

  listen() {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.read();
    });
    this.form.elements.search.addEventListener("input", () => this.show());
    this.form.elements.times.addEventListener("change", () => this.show());
    this.button.addEventListener("click", () => this.save());
    setInterval(() => this.follow(), FOLLOW_EVERY);
  }

  async work(sentence, task) {
    if (this.busy) {
      return;
    }
    this.busy = true;
    this.state.textContent = sentence;
    try {
      await task();
    } catch (error) {
      this.form.elements.follow.checked = false;
      this.state.textContent = error.message;
    } finally {
      this.busy = false;
    }
  }

  read() {
    return this.work("A worker reads the log…", async () => {
      const { answer } = await ask(this.url, { lines: this.form.elements.lines.value });
      this.lines = answer.lines.map(parse);
      this.remember();
      this.button.disabled = false;
      this.show();
      this.place.scrollTop = this.place.scrollHeight;
      this.tell(answer.truncated);
    });
  }

  follow() {
    if (!this.form.elements.follow.checked || document.hidden) {
      return;
    }
    if (!this.last) {
      this.read();
      return;
    }
    this.work(this.state.textContent, async () => {
      const { answer } = await ask(this.url, { lines: String(MOST_READ), since: this.last });
      const fresh = grown({ answer, last: this.last });
      this.lines = this.lines.concat(fresh).slice(-MOST_SHOWN);
      this.remember();
      if (fresh.length) {
        this.showAtEnd();
      }
      this.tell(false);
    });
  }

  remember() {
    const stamped = this.lines.filter((line) => line.at);
    this.last = stamped.length ? stamped[stamped.length - 1].at : this.last;
  }

  tell(truncated) {
    const more = truncated ? " Older lines, or parts of long ones, are left out." : "";
    const follows = this.form.elements.follow.checked ? " Following." : "";
    this.state.textContent = `${this.lines.length} lines.${more}${follows}`;
  }

  showAtEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.place;
    const wasAtEnd = scrollTop + clientHeight > scrollHeight - 40;
    this.show();
    if (wasAtEnd) {
      this.place.scrollTop = this.place.scrollHeight;
    }
  }

  show() {
    const wanted = this.form.elements.search.value.toLowerCase();
    const times = this.form.elements.times.checked;
    const shown = this.lines.filter((line) => line.text.toLowerCase().includes(wanted));
    this.place.replaceChildren(...shown.map((line) => this.row(line, wanted, times)));
    if (!shown.length) {
      this.place.textContent = this.lines.length ? "No line holds that." : "The log is empty.";
    }
  }

  row(line, wanted, times) {
    const row = document.createElement("div");
    if (times && line.at) {
      const time = document.createElement("time");
      time.textContent = `${line.at.slice(0, 19).replace("T", " ")} `;
      row.append(time);
    }
    const at = wanted ? line.text.toLowerCase().indexOf(wanted) : -1;
    row.append(...marked(line.pieces, at, at < 0 ? at : at + wanted.length));
    return row;
  }

  save() {
    return this.work("A worker reads the log…", async () => {
      const { ticket } = await ask(this.url, { lines: this.form.elements.lines.value });
      this.tell(false);
      window.location.assign(`${answerUrl(ticket)}log/`);
    });
  }
}

export function startLogs() {
  document.querySelectorAll("[data-logs]").forEach((section) => new LogView(section));
}
