// Relative, so that the page works below any path prefix. No validator: it would send the document to a public host.
// persistAuthorization: the bearer token stays in this browser's storage when the page is loaded again.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  validatorUrl: null,
});
