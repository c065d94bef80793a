"""Role-based access control: rules, who has which, what every cluster starts with, and who may hand out what."""
