// The contract, to read and to try: Swagger UI on the service's own /openapi.json.

const { SwaggerUIBundle } = /** @type {any} */ (globalThis);
SwaggerUIBundle({
  url: new URL("openapi.json", document.baseURI).href,
  dom_id: "#contract",
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis],
});
