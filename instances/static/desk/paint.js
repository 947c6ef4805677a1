// The colours a program gave a line of its log. Text stays text; other control characters stay visible.

const COLOUR = /\u001b\[([0-9;]*)m/g;
// Control characters and those that reorder text would let a line pass for another one.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const ARGUMENTS = { 2: 4, 5: 2 }; // of 38 and 48: how many codes describe a colour that is not one of the sixteen

// Backgrounds, hidden and blinking text are left out: nothing may make a line unreadable.
function styled(style, codes) {
  let { bold, colour } = style;
  for (let at = 0; at < codes.length; at += 1) {
    const code = Number(codes[at] || "0");
    if (code === 0) {
      [bold, colour] = [false, ""];
    } else if (code === 1 || code === 22) {
      bold = code === 1;
    } else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) {
      colour = `log-${code % 10}`;
    } else if (code === 39) {
      colour = "";
    } else if (code === 38 || code === 48) {
      at += ARGUMENTS[Number(codes[at + 1])] || 0;
    }
  }
  return { bold, colour };
}

/** A line in pieces, each with the class of its colour, empty for none. */
export function painted(line) {
  const pieces = [];
  let [style, from] = [{ bold: false, colour: "" }, 0];
  const add = (text) => {
    if (text) {
      const className = [style.colour, style.bold ? "log-bold" : ""].filter(Boolean).join(" ");
      pieces.push({ text: text.replace(UNSEEN, "�"), className });
    }
  };
  for (const found of line.matchAll(COLOUR)) {
    add(line.slice(from, found.index));
    style = styled(style, found[1].split(";"));
    from = found.index + found[0].length;
  }
  add(line.slice(from));
  return pieces;
}
