# Builds for another system with zig (PyPI: ziglang), which has the headers and C libraries of many:
#   cmake --toolchain cmake/zig.cmake -DZIG=path/to/zig -DZIG_TARGET=aarch64-linux-gnu.2.34 ...
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES ZIG ZIG_TARGET)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)  # a program would need a libc++ of its own
if(NOT ZIG_TARGET MATCHES "^([a-z0-9_]+)-(linux|macos|windows)")
  message(FATAL_ERROR "ZIG_TARGET: expected such as aarch64-linux-gnu.2.34, got '${ZIG_TARGET}'")
endif()
set(CMAKE_SYSTEM_PROCESSOR ${CMAKE_MATCH_1})
set(zig_linux Linux)
set(zig_macos Darwin)
set(zig_windows Windows)
set(CMAKE_SYSTEM_NAME ${zig_${CMAKE_MATCH_2}})

set(CMAKE_C_COMPILER ${ZIG} cc)
set(CMAKE_CXX_COMPILER ${ZIG} c++)
set(CMAKE_C_COMPILER_TARGET ${ZIG_TARGET})
set(CMAKE_CXX_COMPILER_TARGET ${ZIG_TARGET})
foreach(tool ar ranlib rc)  # CMake takes a compiler of two words, but no such tool
  set(zig_${tool} ${CMAKE_BINARY_DIR}/zig-${tool})
  if(NOT EXISTS ${zig_${tool}})
    file(WRITE ${zig_${tool}} "#!/bin/sh\nexec '${ZIG}' ${tool} \"$@\"\n")
    file(CHMOD ${zig_${tool}} PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
  endif()
endforeach()
set(CMAKE_AR ${zig_ar} CACHE FILEPATH "")
set(CMAKE_RANLIB ${zig_ranlib} CACHE FILEPATH "")
set(CMAKE_RC_COMPILER ${zig_rc})

# Nothing of this machine's own.
set(CMAKE_FIND_ROOT_PATH ${CMAKE_PREFIX_PATH})
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
