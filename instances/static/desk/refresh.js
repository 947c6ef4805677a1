// Parts of a page that are fetched again every few seconds while somebody looks.

const clock = () => new Date().toISOString().slice(11, 19);

async function fetchPart(part) {
  const response = await fetch(part.dataset.refresh, { credentials: "same-origin", redirect: "manual" });
  if (!response.ok) {
    throw new Error(response.type === "opaqueredirect" ? "You are logged out." : "The server did not answer well.");
  }
  return response.text();
}

// What is replaced by itself: the parts within, or the whole.
function unitsOf(part) {
  const units = [...part.querySelectorAll("[data-part]")];
  return units.length ? units : [part];
}

// Where somebody is at work nothing is taken away under the hand.
function isInUse(unit) {
  return unit.contains(document.activeElement) || unit.querySelector("dialog[open]") !== null;
}

function sameUnit(unit, part, fresh) {
  return unit === part ? fresh : unitsOf(fresh).find((one) => one.dataset.part === unit.dataset.part);
}

// What somebody has opened or closed stays so.
function keepOpen(unit, same) {
  unit.querySelectorAll("details[data-keep]").forEach((old) => {
    const now = [...same.querySelectorAll("details[data-keep]")].find((one) => one.dataset.keep === old.dataset.keep);
    if (now) {
      now.open = old.open;
    }
  });
}

// Replaces what may be replaced; returns the parts that have to wait.
function replace(part, html) {
  const fresh = document.createElement("div");
  fresh.innerHTML = html;
  return unitsOf(part).filter((unit) => {
    const same = sameUnit(unit, part, fresh);
    // Buttons that say the same are left alone, so that no click and no typed reason is lost.
    const isSame = same && "calm" in unit.dataset && unit.textContent === same.textContent;
    if (!same || (!isSame && isInUse(unit))) {
      return true;
    }
    if (!isSame) {
      keepOpen(unit, same);
      unit.replaceChildren(...same.childNodes);
    }
    unit.dataset.at = clock();
    return false;
  });
}

/** What the page says of itself: when each part was fetched, which one waits, what failed. */
export function sentence(parts) {
  const said = parts.map(({ name, at, error, waiting }) => {
    if (error) {
      return `What you see${name ? ` of its ${name}` : ""} is out of date. ${error}`;
    }
    const begin = name ? `Its ${name} refreshes itself every minute` : "This page refreshes itself";
    const kept = waiting.map((unit) => `Paused while you work there: the ${unit.name} stays as ${unit.at}.`);
    return waiting.some((unit) => unit.name === "page") ? kept.join(" ") : [`${begin}; last at ${at} UTC.`, ...kept].join(" ");
  });
  return said.join(" ");
}

const known = new Map(); // what was last said of each part

function tell(text) {
  const place = document.querySelector("[data-fresh]");
  if (place) {
    place.textContent = text;
  }
}

function say(part, news) {
  known.set(part, { name: part.dataset.name || "", error: "", waiting: [], ...news });
  tell(sentence([...known.values()]));
}

function asTold(unit) {
  const at = unit.dataset.at ? `it was at ${unit.dataset.at} UTC` : "it was when the page was opened";
  return { name: unit.dataset.part || "page", at };
}

async function refresh(part) {
  if (document.hidden || part.dataset.busy) {
    return;
  }
  part.dataset.busy = "yes";
  try {
    const waiting = replace(part, await fetchPart(part));
    say(part, { at: clock(), waiting: waiting.map(asTold) });
  } catch (error) {
    say(part, { error: error instanceof TypeError ? "The server can't be reached." : error.message });
  } finally {
    delete part.dataset.busy;
  }
}

export function startRefreshing() {
  tell("This page refreshes itself.");
  document.querySelectorAll("[data-refresh]").forEach((part) => {
    setInterval(() => refresh(part), Number(part.dataset.every) * 1000);
    document.addEventListener("visibilitychange", () => refresh(part));
  });
}
