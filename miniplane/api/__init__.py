"""API machinery: kinds, metadata, selectors, schemas, patches, tables. Pure: no I/O, no asyncio, no clock."""
