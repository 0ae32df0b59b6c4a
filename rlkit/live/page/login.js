// Logs in with the token, which stands behind the # of the printed address: browsers do not send that part.
"use strict";

const field = (id) => document.getElementById(id);
field("token").value = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
history.replaceState(null, "", location.pathname);

field("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token: field("token").value.trim(), who: field("who").value }),
  });
  if (answer.ok) location.assign("/");
  else {
    const said = await answer.json();
    field("reason").textContent = said.error ?? said.detail;
  }
});
