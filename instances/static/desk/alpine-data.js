// The admin's own components by name: expressions in attributes may not reach global functions.
"use strict";

function sidebarIsOpen() {
  return localStorage.getItem("sidebarDesktopOpen") !== "0";
}

document.addEventListener("alpine:init", () => {
  Alpine.data("theme", (chosen) => theme(chosen));
  Alpine.data("searchForm", () => searchForm());
  Alpine.data("desk", () => ({
    activeTab: "",
    sidebarMobileOpen: false,
    sidebarDesktopOpen: sidebarIsOpen(),
    init() {
      this.activeTab = this.$el.dataset.tab;
    },
    toggleSidebar() {
      this.sidebarDesktopOpen = !this.sidebarDesktopOpen;
      localStorage.setItem("sidebarDesktopOpen", this.sidebarDesktopOpen ? "1" : "0");
    },
  }));
});
