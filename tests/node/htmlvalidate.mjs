// Every rule that html-validate recommends, and of the rules for whole documents those on headings and references.
// What is switched off here is what mail needs and the web has left behind.
export default {
  root: true,
  extends: ["html-validate:recommended", "html-validate:document"],
  rules: {
    // Gmail drops the head of many messages, so the style has to stand in the elements.
    "no-inline-style": "off",
    // Outlook for Windows lays tables out by `width`, `align`, `border`, `cellpadding` and `cellspacing`, not by CSS.
    "no-deprecated-attr": "off",
    // Outlook for Windows knows no `max-width`: only a table in a conditional comment keeps its column at 600 px.
    "no-conditional-comment": "off",
    // Mail programs drop `<main>` and keep `<div role="main">`.
    "prefer-native-element": ["error", { exclude: ["main"] }],
    // The limit of 70 characters is for search engines; in a mail the title is the heartbeat.
    "long-title": "off",
  },
};
