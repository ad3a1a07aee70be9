// Started by docs.html: the right address in the examples, and the reference out of openapi.json.

for (const place of document.querySelectorAll(".url")) {
  place.textContent = new URL("track", document.baseURI).href;
}

// Swagger UI goes dark by a class, not by the reader's preference.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

fetch("openapi.json")
  .then((answer) => answer.json())
  .then((description) => {
    drawEventTypes(description);
    // The parts that /track is made of; of fifty, each of them folded up, nobody would read any.
    const { track, problem } = description.components.schemas;
    SwaggerUIBundle({
      spec: {
        ...description,
        info: { ...description.info, description: "" },
        servers: [{ url: new URL(".", document.baseURI).href }],
        components: { ...description.components, schemas: { track, problem } },
      },
      dom_id: "#swagger-ui",
      docExpansion: "full",
      defaultModelExpandDepth: 2,
      defaultModelsExpandDepth: 3,
      syntaxHighlight: false, // its colours do not follow the dark mode
      validatorUrl: null, // no other host is asked for anything
    });
  });
