// Parts of a page that are fetched again every few seconds while somebody looks.

async function fetchPart(part) {
  const response = await fetch(part.dataset.refresh, { credentials: "same-origin", redirect: "manual" });
  if (!response.ok) {
    throw new Error(response.type === "opaqueredirect" ? "You are logged out." : "The server did not answer well.");
  }
  return response.text();
}

function say(text) {
  const place = document.querySelector("[data-fresh]");
  if (place) {
    place.textContent = text;
  }
}

// What somebody has opened or closed stays so, and the focus stays where it is.
function replace(part, html) {
  const fresh = document.createElement("div");
  fresh.innerHTML = html;
  part.querySelectorAll("details[data-keep]").forEach((old) => {
    const same = [...fresh.querySelectorAll("details[data-keep]")].find((one) => one.dataset.keep === old.dataset.keep);
    if (same) {
      same.open = old.open;
    }
  });
  if (!part.contains(document.activeElement)) {
    part.replaceChildren(...fresh.childNodes);
  }
}

async function refresh(part) {
  if (document.hidden || part.dataset.busy) {
    return;
  }
  part.dataset.busy = "yes";
  try {
    replace(part, await fetchPart(part));
    say(`This page refreshes itself; last at ${new Date().toISOString().slice(11, 19)} UTC.`);
  } catch (error) {
    say(`What you see is out of date. ${error instanceof TypeError ? "The server can't be reached." : error.message}`);
  } finally {
    delete part.dataset.busy;
  }
}

export function startRefreshing() {
  document.querySelectorAll("[data-refresh]").forEach((part) => {
    setInterval(() => refresh(part), Number(part.dataset.every) * 1000);
    document.addEventListener("visibilitychange", () => refresh(part));
  });
}
