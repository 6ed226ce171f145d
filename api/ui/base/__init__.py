"""What every page stands on: rendering, words, forms, conflicts, live updates, links.

- ``assets``: The files that pages load: styles, scripts, fonts, icons. All of them are small enough to be kept in
  memory
- ``conflicts``: Two people at one thing: what others changed while a form of it was open, and how one goes on from
  there
- ``depot_choice``: A depot that a form names by a part of its name, or by its id
- ``depot_head``: The head of a depot's pages, on every tab and live: what of the depot needs attention, and how far it
  is set up
- ``forms``: What was filled in, and what is wrong with it: every field at once, each beside its field
- ``live``: Live pages: a stream of events that says what has changed, so that a page asks for the parts that show it
- ``navigation``: Where one can go. A link is shown to whoever is offered what it leads to
- ``problem_list``: The page of all problem codes: where the ``type`` of every refusal leads
- ``problem_pages``: Refusals as pages: what the API says as a problem document, a person gets as a page, or as a
  notice in one
- ``rendering``: Templates to answers: whole pages, or one block of a page where htmx asks for that alone
- ``schema_forms``: Forms drawn from a JSON Schema: which fields there are, what each takes, and the document that a
  form stands for
- ``sparks``: Small trends as drawings: the last hours of one measurand, with what it says in words and the way to all
  of it
- ``tables``: Tables of the pages, declared by their columns: each column has its heading and its cell in one place
- ``words``: How pages write things down: numbers, powers, times, and the word, icon and tone of every state
"""
