// Started by docs.html: the right address in the examples, the reference below them.

for (const place of document.querySelectorAll(".url")) {
  place.textContent = new URL("track", document.baseURI).href;
}

// Swagger UI goes dark by a class, not by the reader's preference.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  docExpansion: "full",
  defaultModelExpandDepth: 2,
  defaultModelsExpandDepth: 3,
  syntaxHighlight: false, // its colours do not follow the dark mode
  validatorUrl: null, // no other host is asked for anything
});
