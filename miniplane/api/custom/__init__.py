"""Kinds that users bring: structural schemas, validation rules, and the Kind made of a CustomResourceDefinition."""
