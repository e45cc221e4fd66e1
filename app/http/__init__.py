"""The HTTP ground: problems, strict routing, paging, logging. It knows no subject."""
