// Relative, so that the page works below any path prefix. No validator: it would send the document to a public host.
SwaggerUIBundle({ url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
