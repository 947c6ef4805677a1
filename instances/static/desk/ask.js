// Questions only a worker can answer: ask, then look now and then whether the answer is there.

const LOOK_EVERY = 400;
const GIVE_UP_AFTER = 60000;

function wait(milliseconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

function token() {
  return document.querySelector("input[name=csrfmiddlewaretoken]").value;
}

async function readJson(response) {
  if (response.redirected) {
    throw new Error("You are signed out: load the page anew and sign in.");
  }
  const kind = response.headers.get("Content-Type") || "";
  if (!kind.startsWith("application/json")) {
    throw new Error(response.status === 403 ? "You may not do this." : "The server did not answer well.");
  }
  return response.json();
}

async function send(url, fields) {
  const response = await fetch(url, {
    method: "POST",
    credentials: "same-origin",
    headers: { "X-CSRFToken": token() },
    body: new URLSearchParams(fields),
  });
  const document_ = await readJson(response);
  if (!document_.ticket) {
    throw new Error(document_.error || "The question was not taken.");
  }
  return document_.ticket;
}

export function answerUrl(ticket) {
  const desk = window.location.pathname.lastIndexOf("/admin/"); // what stands before it the proxy takes off
  const prefix = window.location.pathname.slice(0, desk);
  return `${prefix}/admin/instances/instance/answers/${encodeURIComponent(ticket)}/`;
}

/** The answer to a question and its ticket; throws an Error that says why there is none. */
export async function ask(url, fields = {}) {
  const ticket = await send(url, fields);
  const until = Date.now() + GIVE_UP_AFTER;
  while (Date.now() < until) {
    const found = await readJson(await fetch(answerUrl(ticket), { credentials: "same-origin" }));
    if (found.state === "done") {
      return { answer: found.answer, ticket };
    }
    if (found.state === "failed") {
      throw new Error(found.error);
    }
    await wait(LOOK_EVERY);
  }
  throw new Error("No worker answered within a minute.");
}

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) {
    made.className = className;
  }
  return made;
}

function plain(value) {
  if (Array.isArray(value)) {
    return value.join(", ") || "–";
  }
  if (value === true || value === false) {
    return value ? "yes" : "no";
  }
  return value === null || value === "" ? "–" : String(value);
}

function showFacts(answer) {
  const list = element("dl", "", "desk-facts");
  Object.entries(answer).forEach(([name, value]) => {
    list.append(element("dt", name.replaceAll("_", " ")), element("dd", plain(value), "is-code"));
  });
  return list;
}

function showValidation(answer) {
  const card = element("section", "", "desk-card");
  card.append(element("h2", answer.valid ? "Valid" : "Not valid"));
  const list = element("ul", "", "desk-list");
  answer.checks.forEach((check) => {
    const state = element("span", check.ok ? "ok" : "wrong", `desk-status is-${check.ok ? "good" : "failed"}`);
    const line = element("li", ` ${check.name}: ${check.message}`, "is-text");
    line.prepend(state);
    list.append(line);
  });
  answer.warnings.forEach((warning) => list.append(element("li", `Warning: ${warning.message}`, "is-text")));
  card.append(list);
  return card;
}

const SHOWN = { facts: showFacts, validation: showValidation };

async function askAndShow(source) {
  const place = document.getElementById(source.dataset.into || source.id);
  place.replaceChildren(element("p", "A worker is asked…", "desk-hint"));
  try {
    const { answer } = await ask(source.dataset.ask);
    const at = `As it was at ${new Date().toISOString().slice(11, 19)} UTC.`;
    place.replaceChildren(SHOWN[source.dataset.show](answer), element("p", at, "desk-hint"));
  } catch (error) {
    place.replaceChildren(element("p", error.message, "desk-error is-text"));
  }
}

export function startAsking() {
  document.querySelectorAll("[data-ask][data-at-once]").forEach(askAndShow);
  // Buttons come and go with the parts that refresh themselves.
  document.addEventListener("click", (event) => {
    const source = event.target.closest("[data-ask]:not([data-at-once])");
    if (source) {
      askAndShow(source);
    }
  });
}
