// What the desk's pages do by themselves. Everything is in the page already; this only makes it move.
import { startAsking } from "./ask.js";
import { startLogs } from "./logs.js";
import { startRefreshing } from "./refresh.js";

function startDialogs() {
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener) {
      document.getElementById(opener.dataset.opens).showModal();
    }
    const closer = event.target.closest("[data-closes]");
    if (closer) {
      closer.closest("dialog").close();
    }
  });
}

function startFilters() {
  document.querySelectorAll("select[data-goes]").forEach((select) => {
    select.addEventListener("change", () => {
      window.location.search = select.value;
    });
  });
}

// A form is sent once, however often its button is pressed.
function startForms() {
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form.desk-form");
    if (form) {
      form.querySelectorAll("button[type=submit]").forEach((button) => {
        button.disabled = true;
      });
    }
  });
}

document.addEventListener("DOMContentLoaded", () => {
  startDialogs();
  startFilters();
  startForms();
  startAsking();
  startLogs();
  startRefreshing();
});
