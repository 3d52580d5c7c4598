"""The mapping: where a record has its segment, action and ids, if it is no plain event.

Words:

    rule          reads the records that its conditions (``when``) fit; the first that fits counts
    walk          one step of ``each``: every entry of a list or a map is read by itself
    path          where a value stands: in the record's value, its key, its headers, its topic
    word          a value as text, which conditions and tables compare: a string as it is, booleans
                  and numbers by their JSON spelling
    there         a value that a record has and that isn't null
    reading       what a record says: `reading.Reading`

From a file to a reading:

    document  text -> tables        parser, forms  tables -> `language.Rule`s, or every problem
    structs, getters, plan          the quick plan: what a good record looks like, as types
    view, scope, careful            the careful plan: whatever else there is, and what is wrong
    unlisted                        what a table of segments lacks, for a preview
    mapping                         the two together, which is what the intake calls
"""
