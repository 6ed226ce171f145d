"""PostgreSQL: tables, migrations, queries and the outbox. All SQL of the product is here."""
