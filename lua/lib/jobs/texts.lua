-- The texts that are kept in the hash of a job once it has ended: what was run, what it wrote, what was measured.
--
-- A key of its own costs a job more than a hundred bytes, and one field over 64 bytes (hash-max-listpack-value, which
-- managed servers do not let anybody change) makes Redis store the whole hash as a table, which takes three times the
-- memory. So a text is cut into pieces, none of them longer, in fields that are numbered from the second on: `stdout`,
-- `stdout2`, `stdout3`. Fields are found by reading the hash from its beginning: a longer text has a key of its own.
local texts = { PIECE_BYTES = 64, MAX_BYTES = 512, MAX_PIECES = 9 }

-- Returns where the piece that begins at `first` ends: in front of a character, as clients decode each field by itself.
-- Bytes from 128 to 191 continue a UTF-8 character, and no character has more than three of them.
local function end_of_piece(text, first)
  local last = math.min(first + texts.PIECE_BYTES - 1, #text)
  for _ = 1, 3 do
    local following = string.byte(text, last + 1)
    if not following or following < 128 or following > 191 then
      break
    end
    last = last - 1
  end
  return last
end

-- Appends a text to a list of fields and values. An empty text has no field.
function texts.add(fields, name, text)
  local first, number = 1, 1
  while first <= #text do
    local last = end_of_piece(text, first)
    fields[#fields + 1] = number == 1 and name or name .. number
    fields[#fields + 1] = string.sub(text, first, last)
    first, number = last + 1, number + 1
  end
end

-- Returns a text from the hash of a job; nil when it is not there.
function texts.read(id, name)
  local pieces = {}
  for number = 1, texts.MAX_PIECES do
    local piece = redis.call('HGET', keys.job(id), number == 1 and name or name .. number)
    if not piece then
      break
    end
    pieces[number] = piece
  end
  return pieces[1] and table.concat(pieces)
end
