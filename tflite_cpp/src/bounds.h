// Every bound that stands in several places: of options, of what a model file may ask for, of files.
// One a line, so that a test can hold Python's numbers against them. (No limits.h: C has one.)
#pragma once

#include <cstddef>
#include <cstdint>

namespace jaxgan {

// --- Options.
constexpr std::uint32_t kMinSeed = 0;
constexpr std::uint32_t kMaxSeed = 4294967295;
constexpr int kMinCount = 1;
constexpr int kMaxCount = 1000000;  // of images, and of latents in a file
constexpr int kMinInterpolate = 2;
constexpr int kMaxInterpolate = 1000;
constexpr double kMaxTruncation = 10.0;
constexpr int kMinThreads = 1;
constexpr int kMaxThreads = 1024;
constexpr int kMaxCalls = 1000000;  // of --warmup and --repetitions
constexpr double kMinSeconds = 0.001;
constexpr double kMaxSeconds = 3600.0;

// --- Generators. Far above any real one, so that no product overflows.
constexpr int kMaxBatch = 4096;
constexpr int kMaxSide = 4096;  // of an image, and of what its layers make
constexpr int kMaxLatent = 65536;
constexpr int kMaxClasses = 65536;
constexpr int kChannels[] = {1, 3, 4};  // grey, red-green-blue, those with alpha
constexpr std::size_t kMaxClassName = 200;       // bytes of UTF-8
constexpr std::size_t kMaxClassNames = 1048576;  // bytes of all, a line each

// --- Files, in bytes.
constexpr std::size_t kMaxModelBytes = 2147483647;  // a flatbuffer's offsets reach no further
constexpr std::size_t kMaxPictureBytes = 1073741824;
constexpr std::size_t kMaxHeaderBytes = 65536;  // of an .npy file
constexpr int kMaxPngSide = 1000000;            // libpng's own bound, in pixels

// --- The parts of a model file, so that nothing small names much.
constexpr std::size_t kMaxGraphs = 256;
constexpr std::size_t kMaxTensors = 256;
constexpr std::size_t kMaxBuffers = 65536;
constexpr std::size_t kMaxCodes = 256;
constexpr std::size_t kMaxMetadata = 256;
constexpr std::size_t kMaxInputs = 8;
constexpr std::size_t kMaxRank = 6;
constexpr std::size_t kMaxName = 1024;           // letters of a tensor's
constexpr std::size_t kMaxWord = 64;             // letters of what messages show
constexpr std::size_t kMaxElements = 536870912;  // of a tensor: 2 GiB of floats
constexpr std::size_t kMaxPatches = 2147483648;  // numbers that a convolution gathers
constexpr int kMaxKernel = 16;
constexpr int kMaxStride = 8;
constexpr std::size_t kMaxScales = 65536;
constexpr float kMinScale = 1e-20f;
constexpr float kMaxScale = 1e20f;
constexpr float kMinFactor = 0.00390625f;
constexpr float kMaxFactor = 128.0f;
constexpr float kMaxRatio = 65536.0f;  // of scales: some kernels end the program at 2^19

// --- What is shown, in letters.
constexpr std::size_t kMaxNamesShown = 200;  // of signatures or classes
constexpr std::size_t kMaxEntryShown = 200;  // of metadata, by --info

}  // namespace jaxgan
