# What lets other projects use the installed library: a CMake package and a pkg-config file.
include(CMakePackageConfigHelpers)
set(targets jaxgan-generator)
if(JAXGAN_SHARED)
  list(APPEND targets jaxgan)
endif()
install(TARGETS ${targets} EXPORT jaxgan-targets)
install(DIRECTORY include/jaxgan TYPE INCLUDE)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/jaxgan)
install(EXPORT jaxgan-targets NAMESPACE jaxgan:: DESTINATION ${package})
configure_package_config_file(cmake/jaxgan-config.cmake.in jaxgan-config.cmake
  INSTALL_DESTINATION ${package})
write_basic_package_version_file(jaxgan-config-version.cmake COMPATIBILITY SameMinorVersion)
file(RELATIVE_PATH jaxgan_pc_include /${CMAKE_INSTALL_LIBDIR} /${CMAKE_INSTALL_INCLUDEDIR})
configure_file(cmake/jaxgan.pc.in jaxgan.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/jaxgan-config.cmake
  ${PROJECT_BINARY_DIR}/jaxgan-config-version.cmake DESTINATION ${package})
install(FILES ${PROJECT_BINARY_DIR}/jaxgan.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
