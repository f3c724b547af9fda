#include "mutate.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace jaxgan::fuzz {
namespace {

std::size_t below(std::size_t bound, Random& random) {
  return bound == 0 ? 0 : static_cast<std::size_t>(random() % bound);
}

template <typename Value>
const Value& one_of(const std::vector<Value>& values, Random& random) {
  return values.at(below(values.size(), random));
}

// Few changes pass more checks than many do.
std::size_t few(Random& random) { return std::vector<std::size_t>{1, 1, 2, 5}[below(4, random)]; }

template <typename Number>
Number get(const Bytes& file, std::size_t place) {
  if (place + sizeof(Number) > file.size()) throw std::out_of_range("no such place");
  Number value;
  std::memcpy(&value, file.data() + place, sizeof value);
  return value;
}

template <typename Number>
void put(Bytes& file, std::size_t place, Number value) {
  if (place + sizeof value > file.size()) throw std::out_of_range("no such place");
  std::memcpy(file.data() + place, &value, sizeof value);
}

// --- Damage to any file.

Bytes cut(Bytes file, const std::vector<Bytes>&, Random& random) {
  if (below(2, random) == 0) {
    file.resize(below(file.size(), random));
  } else {
    file.resize(file.size() - std::min(file.size(), 1 + below(64, random)));
  }
  return file;
}

Bytes flip_bits(Bytes file, const std::vector<Bytes>&, Random& random) {
  for (std::size_t i = few(random); i > 0; --i) {
    file.at(below(file.size(), random)) ^= static_cast<std::uint8_t>(1u << below(8, random));
  }
  return file;
}

Bytes change_bytes(Bytes file, const std::vector<Bytes>&, Random& random) {
  for (std::size_t i = few(random); i > 0; --i) {
    file.at(below(file.size(), random)) = static_cast<std::uint8_t>(random());
  }
  return file;
}

// A piece of some file over, or between, what is there; or what is there, without a piece.
Bytes splice(Bytes file, const std::vector<Bytes>& others, Random& random) {
  const Bytes& other = one_of(others, random);
  const std::size_t length = below(std::min<std::size_t>(other.size(), 2048), random);
  const auto from =
      other.begin() + static_cast<std::ptrdiff_t>(below(other.size() - length, random));
  const std::size_t place = below(file.size(), random);
  const auto to = file.begin() + static_cast<std::ptrdiff_t>(place);
  const std::size_t left = std::min(length, file.size() - place);
  switch (below(3, random)) {
    case 0: std::copy_n(from, left, to); break;
    case 1: file.insert(to, from, from + static_cast<std::ptrdiff_t>(length)); break;
    default: file.erase(to, to + static_cast<std::ptrdiff_t>(left));
  }
  return file;
}

// A number of the kind that sizes and indices must not be; `old` is what it was.
std::uint32_t hostile(std::uint32_t old, Random& random) {
  const std::vector<std::uint32_t> edges = {
      0, 1, 2, 3, 4, 255, 256, 65535, 65536, 0x3FFFFFFF, 0x40000000, 0x7FFFFFFF, 0x80000000,
      0xFFFFFFFE, 0xFFFFFFFF, old + 1, old - 1, old * 2, old / 2, old + 4, old - 4, 0u - old};
  const std::size_t way = below(4, random);
  if (way == 0) return static_cast<std::uint32_t>(below(64, random));
  if (way == 1) return static_cast<std::uint32_t>(random());
  return one_of(edges, random);
}

Bytes change_numbers(Bytes file, const std::vector<Bytes>&, Random& random) {
  if (file.size() < 4) return file;
  for (std::size_t i = few(random); i > 0; --i) {
    const std::size_t place = below(file.size() - 3, random);
    std::uint32_t number = hostile(get<std::uint32_t>(file, place), random);
    if (below(2, random) == 0) {  // of a PNG, its first byte first
      std::uint8_t bytes[4];
      std::memcpy(bytes, &number, 4);
      std::reverse(bytes, bytes + 4);
      std::memcpy(&number, bytes, 4);
    }
    put(file, place, number);
  }
  return file;
}

Bytes insert_text(Bytes file, const std::vector<std::string>& texts, std::size_t within,
                  Random& random) {
  const std::string& text = one_of(texts, random);
  const std::size_t place = below(std::min(file.size(), within), random);
  const auto to = file.begin() + static_cast<std::ptrdiff_t>(place);
  const std::size_t over = below(3, random) == 0 ? 0 : std::min(text.size(), file.size() - place);
  const auto after = file.erase(to, to + static_cast<std::ptrdiff_t>(over));
  file.insert(after, text.begin(), text.end());
  return file;
}

// --- Arrays.

Bytes change_header(Bytes file, const std::vector<Bytes>&, Random& random) {
  static const std::vector<std::string> kTexts = {
      "(", ")", "{", "}", "'", "\"", ",", ":", "-1", "0", "18446744073709551615",
      "99999999999999999999", "2305843009213693952", "536870912", "1000000", "8)", "(1000000, 8)",
      "(18446744073709551615, 8)", "(2305843009213693952, 8)", "'<f4'", "'|O'", "'>f4'", "'<f8'",
      "True", "False", "None", "'descr'", "'shape'", "'fortran_order'", std::string(300, '('),
      std::string(70000, ' '), std::string(1, '\0'), "((((", "\n", "nan"};
  return insert_text(std::move(file), kTexts, 100, random);
}

// --- Pictures.

std::uint32_t big_endian(const Bytes& file, std::size_t place) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | file.at(place + i);
  return value;
}

// Mends the checksums of chunks, without which no damage would come further.
template <Bytes (*Damage)(Bytes, const std::vector<Bytes>&, Random&)>
Bytes mended(Bytes file, const std::vector<Bytes>& others, Random& random) {
  file = Damage(std::move(file), others, random);
  for (std::size_t place = 8; file.size() >= 12 && place <= file.size() - 12;) {
    const std::size_t size = big_endian(file, place);
    if (size > file.size() - place - 12) break;
    const auto sum = static_cast<std::uint32_t>(crc32_z(0, &file[place + 4], size + 4));
    for (std::size_t i = 0; i < 4; ++i) {
      file[place + 8 + size + i] = static_cast<std::uint8_t>(sum >> (24 - 8 * i));
    }
    place += size + 12;
  }
  return file;
}

Bytes change_chunks(Bytes file, const std::vector<Bytes>&, Random& random) {
  static const std::vector<std::string> kTexts = {
      "tEXt", "IEND", "IHDR", "zTXt", "iTXt", "IDAT", std::string(4, '\0'), std::string(1, '\0'),
      std::string(4, '\xFF'), std::string("\x7F\xFF\xFF\xFF", 4), std::string(90, 'k'), "jaxgan."};
  return insert_text(std::move(file), kTexts, file.size(), random);
}

// --- Models: where in a sound flatbuffer its parts lie.

struct Places {
  std::vector<std::size_t> lengths;  // of vectors and texts
  std::vector<std::size_t> sizes;    // of tensors
  std::vector<std::size_t> indices;  // of tensors, buffers, graphs, operations
  std::vector<std::size_t> offsets;  // four bytes each
  std::vector<std::size_t> vtables;  // two bytes each
  std::vector<std::size_t> bytes;    // types and other small numbers
  std::vector<std::size_t> options;  // of operations, four bytes each
  std::vector<std::size_t> scales;   // four bytes each
  std::vector<std::size_t> texts;    // offsets of texts and of metadata
};

class Walk {
 public:
  explicit Walk(const Bytes& file) : file_(file) { model(follow(0)); }
  Places places;

 private:
  std::size_t follow(std::size_t place) {
    places.offsets.push_back(place);
    return place + get<std::uint32_t>(file_, place);
  }
  std::size_t vtable(std::size_t table) const {
    return table - static_cast<std::size_t>(get<std::int32_t>(file_, table));
  }
  // Where a field lies, 0 if it has its default.
  std::size_t field(std::size_t table, std::size_t slot) {
    const std::size_t at = vtable(table) + 4 + 2 * slot;
    if (4 + 2 * slot >= get<std::uint16_t>(file_, vtable(table))) return 0;
    places.vtables.push_back(at);
    const auto offset = get<std::uint16_t>(file_, at);
    return offset == 0 ? 0 : table + offset;
  }
  void number(std::size_t table, std::size_t slot, std::vector<std::size_t>& where) {
    if (const std::size_t at = field(table, slot)) where.push_back(at);
  }
  // The elements of a vector, `size` bytes each.
  std::vector<std::size_t> elements(std::size_t table, std::size_t slot, std::size_t size) {
    std::vector<std::size_t> found;
    const std::size_t at = field(table, slot);
    if (at == 0) return found;
    const std::size_t start = follow(at);
    places.lengths.push_back(start);
    for (std::size_t i = 0; i < get<std::uint32_t>(file_, start); ++i) {
      found.push_back(start + 4 + size * i);
    }
    return found;
  }
  void numbers(std::size_t table, std::size_t slot, std::size_t size,
               std::vector<std::size_t>& where) {
    const auto found = elements(table, slot, size);
    where.insert(where.end(), found.begin(), found.end());
  }
  void text(std::size_t table, std::size_t slot) {
    if (const std::size_t at = field(table, slot)) {
      places.texts.push_back(at);
      places.lengths.push_back(follow(at));
    }
  }
  template <typename Visit>
  void tables(std::size_t table, std::size_t slot, Visit&& visit) {
    for (const std::size_t at : elements(table, slot, 4)) visit(follow(at));
  }

  void model(std::size_t table) {
    number(table, 0, places.bytes);
    tables(table, 1, [&](std::size_t code) {
      number(code, 0, places.bytes);
      number(code, 2, places.indices);
      number(code, 3, places.indices);
    });
    tables(table, 2, [&](std::size_t graph) { this->graph(graph); });
    text(table, 3);
    std::vector<std::size_t> buffers;
    tables(table, 4, [&](std::size_t buffer) {
      if (const std::size_t at = field(buffer, 0)) {
        places.lengths.push_back(follow(at));
        buffers.push_back(at);
      } else {
        buffers.push_back(0);
      }
    });
    tables(table, 6, [&](std::size_t entry) {
      text(entry, 0);
      number(entry, 1, places.indices);
      if (const std::size_t at = field(entry, 1)) {
        const std::size_t data = buffers.at(get<std::uint32_t>(file_, at));
        if (data != 0) places.texts.push_back(data);
      }
    });
    tables(table, 7, [&](std::size_t signature) {
      for (const std::size_t slot : {0u, 1u}) {
        tables(signature, slot, [&](std::size_t named) {
          text(named, 0);
          number(named, 1, places.indices);
        });
      }
      text(signature, 2);
      number(signature, 4, places.indices);
    });
  }

  void graph(std::size_t table) {
    tables(table, 0, [&](std::size_t tensor) {
      numbers(tensor, 0, 4, places.sizes);
      number(tensor, 1, places.bytes);
      number(tensor, 2, places.indices);
      text(tensor, 3);
      if (const std::size_t at = field(tensor, 4)) quantization(follow(at));
    });
    numbers(table, 1, 4, places.indices);
    numbers(table, 2, 4, places.indices);
    tables(table, 3, [&](std::size_t operation) {
      number(operation, 0, places.indices);
      numbers(operation, 1, 4, places.indices);
      numbers(operation, 2, 4, places.indices);
      number(operation, 3, places.bytes);
      if (const std::size_t at = field(operation, 4)) options(follow(at));
    });
  }

  void quantization(std::size_t table) {
    numbers(table, 2, 4, places.scales);
    numbers(table, 3, 8, places.scales);  // zeros: their lower half
    number(table, 6, places.indices);
  }

  void options(std::size_t table) {
    for (std::size_t slot = 0; slot < 8; ++slot) number(table, slot, places.options);
  }

  const Bytes& file_;
};

void change(Bytes& file, std::size_t place, Random& random) {
  put(file, place, hostile(get<std::uint32_t>(file, place), random));
}

// Sizes of vectors, texts and tensors.
Bytes change_sizes(Bytes file, const std::vector<Bytes>&, Random& random) {
  const Places places = Walk(file).places;
  for (std::size_t i = few(random); i > 0; --i) {
    change(file, one_of(below(3, random) == 0 ? places.lengths : places.sizes, random), random);
  }
  return file;
}

// Where tables and fields lie.
Bytes change_offsets(Bytes file, const std::vector<Bytes>&, Random& random) {
  const Places places = Walk(file).places;
  for (std::size_t i = few(random); i > 0; --i) {
    if (below(2, random) == 0) {
      const std::size_t place = one_of(places.vtables, random);
      put(file, place, static_cast<std::uint16_t>(
                           hostile(get<std::uint16_t>(file, place), random)));
    } else if (below(2, random) == 0) {
      change(file, one_of(places.offsets, random), random);
    } else {  // to another part
      const std::size_t from = one_of(places.offsets, random);
      const std::size_t other = one_of(places.offsets, random);
      put(file, from, static_cast<std::uint32_t>(
                          other + get<std::uint32_t>(file, other) - from));
    }
  }
  return file;
}

// Which tensors, buffers and operations: others of the file, or none.
Bytes change_indices(Bytes file, const std::vector<Bytes>&, Random& random) {
  const Places places = Walk(file).places;
  for (std::size_t i = few(random); i > 0; --i) {
    change(file, one_of(places.indices, random), random);
  }
  return file;
}

// Types, the options of operations, scales of 8-bit numbers.
Bytes change_fields(Bytes file, const std::vector<Bytes>&, Random& random) {
  static const std::vector<float> kNumbers = {
      0.0f, -1.0f, 1e-45f, 1e-38f, 1e-19f, 1e-6f, 1e-3f, 0.5f, 1.0f, 100.0f, 1e4f, 1e6f, 1e19f,
      3e38f, -0.0f, std::numeric_limits<float>::infinity(),
      std::numeric_limits<float>::quiet_NaN()};
  const Places places = Walk(file).places;
  for (std::size_t i = few(random); i > 0; --i) {
    const std::size_t way = below(4, random);
    if (way == 0) {
      file.at(one_of(places.bytes, random)) = static_cast<std::uint8_t>(below(20, random));
    } else if (way == 1) {
      const std::size_t place = one_of(places.options, random);
      below(2, random) == 0 ? change(file, place, random)
                            : put(file, place, one_of(kNumbers, random));
    } else if (!places.scales.empty()) {
      const std::size_t place = one_of(places.scales, random);
      put(file, place, way == 2 ? one_of(kNumbers, random)
                                : get<float>(file, one_of(places.scales, random)));
    } else {
      change(file, one_of(places.sizes, random), random);
    }
  }
  return file;
}

// Names and metadata, put anew at the end of the file.
Bytes change_texts(Bytes file, const std::vector<Bytes>&, Random& random) {
  static const std::vector<std::string> kTexts = {
      "", "0", "-1", "1", "4", "1000000", "2147483647", "4294967296", "99999999999999999999", "3x",
      " 3", "1e3", "nan", "%s%n%s%n", "\x1b[2J\x1b]0;x\x07", "a\nb", std::string("3\0004", 3),
      "\xff\xfe", "\xe2\x80\xae", std::string(100, 'A'), std::string(1 << 20, 'A'),
      std::string(1 << 16, '\xff'), "generate_1", "generate_0", "generate_-1",
      "generate_99999999999999999999", "generate_4097", "generate_2", "between_1", "latent",
      "label", "image", "target_label", "weight", "jaxgan.classes", "jaxgan.version", "classes"};
  const Places places = Walk(file).places;
  for (std::size_t i = few(random); i > 0; --i) {
    const std::string& text = one_of(kTexts, random);
    const std::size_t place = one_of(places.texts, random);
    file.resize((file.size() + 3) / 4 * 4);
    put(file, place, static_cast<std::uint32_t>(file.size() - place));
    const auto size = static_cast<std::uint32_t>(text.size());
    file.resize(file.size() + 4);
    put(file, file.size() - 4, size);
    file.insert(file.end(), text.begin(), text.end());
    file.push_back(0);
  }
  return file;
}

// A byte of what is no weight, where every one means something.
Bytes change_tables(Bytes file, const std::vector<Bytes>&, Random& random) {
  const Places places = Walk(file).places;
  for (std::size_t i = few(random); i > 0; --i) {
    const auto& starts = below(2, random) == 0 ? places.vtables : places.offsets;
    const std::size_t start = one_of(starts, random);
    const std::size_t place = std::min(start + below(64, random), file.size() - 1);
    file[place] ^= static_cast<std::uint8_t>(1u << below(8, random));
  }
  return file;
}

}  // namespace

std::vector<Mutation> mutations(const std::string& kind) {
  const std::vector<Mutation> any = {{"truncated", cut},
                                     {"bits flipped", flip_bits},
                                     {"bytes changed", change_bytes},
                                     {"spliced", splice}};
  std::vector<Mutation> all = any;
  if (kind == "tflite") {
    all.insert(all.end(), {{"bits of tables", change_tables},
                           {"sizes", change_sizes},
                           {"offsets", change_offsets},
                           {"indices", change_indices},
                           {"types, options, scales", change_fields},
                           {"names, metadata", change_texts}});
  } else if (kind == "npy") {
    all.insert(all.end(), {{"numbers", change_numbers}, {"header", change_header}});
  } else {
    all.insert(all.end(), {{"numbers", change_numbers},
                           {"bits flipped, checksums mended", mended<flip_bits>},
                           {"spliced, checksums mended", mended<splice>},
                           {"numbers, checksums mended", mended<change_numbers>},
                           {"chunks, checksums mended", mended<change_chunks>}});
  }
  return all;
}

}  // namespace jaxgan::fuzz
