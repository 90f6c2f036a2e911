"""`sla.md` sentence by sentence, as stories with times: the YAML files here, what reads them and what plays them."""
