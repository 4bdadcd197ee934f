// The page of a board folder, served on this machine, says when entries were added. Anywhere else it asks for nothing.

function setUpLive() {
  if (!DATA.live || !["127.0.0.1", "[::1]", "localhost"].includes(location.hostname)) return;
  const button = $('[data-do="reload"]');
  button.addEventListener("click", () => location.reload());
  const look = async () => {
    try {
      const board = await (await fetch("board.json", { cache: "no-cache" })).json();
      if (board.head === DATA.live) return setTimeout(look, 2000);
      button.hidden = false;
      announce("Entries were added to this board");
    } catch {
      setTimeout(look, 10000); // the server is gone, for now
    }
  };
  setTimeout(look, 2000);
}
