"""The rules of the business, pure: the one package that intake, router and sla share."""
